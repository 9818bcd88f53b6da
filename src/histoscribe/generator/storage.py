"""The generator's tensors: to plain arrays in half precision, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.errors import ModelError
from histoscribe.generator.metgen import MetGen
from histoscribe.generator.network import CODE
from histoscribe.generator.standard import Standard
from histoscribe.models import require_shapes

_ANEW = "copy the model's folder anew"
_LARGEST = 200_000
_MOST_CLASSES = 1_000


def halve(model: MetGen) -> None:
    """Round to what is saved, so that a saved model answers as the fitted one."""
    for tensor in model.state_dict().values():
        tensor.copy_(tensor.half().float())


def to_tensors(model: MetGen, standard: Standard) -> dict[str, NDArray[Any]]:
    """All that must be saved, by name."""
    tensors = {name: tensor.detach().half().numpy() for name, tensor in model.state_dict().items()}
    return {**tensors, "standard.mean": standard.mean, "standard.sd": standard.sd}


def from_tensors(
    tensors: Mapping[str, NDArray[Any]], genes: tuple[str, ...], settings: dict[str, Any], where: str
) -> tuple[MetGen, Standard]:
    """Rebuild the model, checking every shape.

    Raises
    ------
    ModelError
        If the settings or the tensors do not fit together.
    """
    try:
        counts = [len([str(name) for name in settings[key]]) for key in ("cancers", "sites")]
        known = int(settings["samples"]["metastasis"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the card's settings lack {error}", where=where, remedy=_ANEW) from error
    sensible = all(0 < count < _MOST_CLASSES for count in counts) and 0 < known < _LARGEST
    if not sensible or not 1 < len(genes) < _LARGEST:
        raise ModelError("the card's sizes are impossible", where=where, remedy=_ANEW)
    model = MetGen(torch.eye(len(genes), CODE), counts[0], counts[1], known)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    one = (len(genes),)
    require_shapes(tensors, {**expected, "standard.mean": one, "standard.sd": one}, where=where)
    model.load_state_dict(
        {name: torch.from_numpy(np.array(tensors[name], dtype=np.float32)) for name in expected}
    )
    mean, sd = (np.array(tensors[f"standard.{part}"], dtype=np.float32) for part in ("mean", "sd"))
    if not (sd > 0).all():
        raise ModelError("a scale is not above zero", where=where, remedy=_ANEW)
    return model.eval().requires_grad_(False), Standard(genes, mean, sd)
