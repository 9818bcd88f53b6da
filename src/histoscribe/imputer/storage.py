"""The imputer's tensors: to plain arrays and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.errors import ModelError
from histoscribe.imputer.blend import Blend
from histoscribe.imputer.gaussian import GaussianStart
from histoscribe.imputer.network import WIDTH, Corrector
from histoscribe.imputer.reference import ReferenceMemory
from histoscribe.imputer.restorer import Restorer
from histoscribe.imputer.standard import Standard
from histoscribe.models import require_shapes

_HALF = ("memory.samples", "blend.spread")
_LARGEST = 200_000


def to_tensors(restorer: Restorer, standard: Standard) -> dict[str, NDArray[Any]]:
    """All that must be saved, by name; the two large ones in half precision."""
    tensors = {name: tensor.detach().numpy() for name, tensor in restorer.state_dict().items()}
    for name in _HALF:
        tensors[name] = tensors[name].astype(np.float16)
    return {**tensors, "standard.mean": standard.mean, "standard.sd": standard.sd}


def from_tensors(
    tensors: Mapping[str, NDArray[Any]], genes: tuple[str, ...], settings: dict[str, Any], where: str | Path
) -> tuple[Restorer, Standard]:
    """Rebuild the model, checking every shape.

    Raises
    ------
    ModelError
        If the settings or the tensors do not fit together.
    """
    try:
        factors, references = int(settings["factors"]), int(settings["references"])
        scale, own = str(settings["scale"]), int(settings.get("own", len(genes)))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"the card's settings lack {error}", where=where, remedy="copy the model's folder anew"
        ) from error
    if not (0 < factors < 10_000 and 0 < references < 1_000_000 and 0 < own <= len(genes) < _LARGEST):
        raise ModelError(
            "the card's sizes are impossible", where=where, remedy="copy the model's folder anew"
        )
    count = len(genes)
    restorer = Restorer(
        GaussianStart(torch.zeros(count, factors), torch.ones(count)),
        ReferenceMemory(torch.zeros(references, count)),
        Blend(count, own),
        Corrector(torch.zeros(count, WIDTH)),
    )
    expected = {name: tuple(tensor.shape) for name, tensor in restorer.state_dict().items()}
    require_shapes(tensors, {**expected, "standard.mean": (count,), "standard.sd": (count,)}, where=where)
    restorer.load_state_dict(
        {name: torch.from_numpy(np.array(tensors[name], dtype=np.float32)) for name in expected}
    )
    mean, sd = (np.array(tensors[f"standard.{part}"], dtype=np.float32) for part in ("mean", "sd"))
    if not (sd > 0).all() or not (restorer.start.noise > 0).all():
        raise ModelError("a scale is not above zero", where=where, remedy="copy the model's folder anew")
    return restorer.eval(), Standard(genes, mean, sd, scale)


def halve(restorer: Restorer) -> None:
    """Round what is saved in half precision, so that a saved model answers as the fitted one."""
    restorer.memory.samples.copy_(restorer.memory.samples.half().float())
    restorer.blend.spread.copy_(restorer.blend.spread.half().float())
