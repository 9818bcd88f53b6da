"""The units of a model of tables: each gene centred and scaled as in training, saved beside the network."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Floats
from histoscribe.errors import ModelError
from histoscribe.models.store import require_shapes

if TYPE_CHECKING:
    import torch

ANEW = "copy the model's folder anew"


@dataclass(frozen=True, eq=False)
class Standard:
    """Genes of a model with their training means and standard deviations."""

    genes: tuple[str, ...]
    mean: Floats
    sd: Floats
    """`mean` and `sd`: shape (genes,)."""
    scale: str
    """A key of `histoscribe.bulk.SCALES`: what the values are, `counts` excepted."""
    limit: float
    """Standard deviations at which values are cut."""
    floor: float | None = None
    """The lowest value that there can be on this scale."""

    def apply(self, values: Floats) -> Floats:
        """Values on `scale`, shape (samples, genes), in standard deviations from the mean."""
        units = np.clip((values - self.mean) / self.sd, -self.limit, self.limit)
        return np.asarray(units, dtype=np.float32)

    def undo(self, units: Floats) -> Floats:
        """Standard deviations from the mean, shape (samples, genes), back on `scale`."""
        values = units * self.sd + self.mean
        return np.asarray(values if self.floor is None else np.maximum(values, self.floor), dtype=np.float32)


def side_by_side(networks: Sequence[torch.nn.Module]) -> torch.nn.ModuleDict:
    """Networks as one, whose tensors are saved as `network0.…`, `network1.…` and so on."""
    import torch

    return torch.nn.ModuleDict({f"network{number}": one for number, one in enumerate(networks)})


def halve(network: torch.nn.Module, names: Collection[str] | None = None) -> None:
    """Round what is saved in half precision (all by default), so that a saved model answers as the fitted."""
    for name, tensor in network.state_dict().items():
        if names is None or name in names:
            tensor.copy_(tensor.half().float())


def to_tensors(
    network: torch.nn.Module, standard: Standard, names: Collection[str] | None = None
) -> dict[str, NDArray[Any]]:
    """All that must be saved, by name: the units whole, the network's `names` (all by default) halved."""
    tensors = {
        name: (tensor.half() if names is None or name in names else tensor).detach().numpy()
        for name, tensor in network.state_dict().items()
    }
    return {**tensors, "standard.mean": standard.mean, "standard.sd": standard.sd}


def fill(
    network: torch.nn.Module, tensors: Mapping[str, NDArray[Any]], genes: int, *, where: str | PathLike[str]
) -> tuple[Floats, Floats]:
    """Put saved tensors into a network made for them, in single precision; mean and sd of its units.

    Raises `ModelError` if a tensor is missing, of another shape or not finite, or a scale is not above zero.
    """
    import torch

    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    units = {"standard.mean": (genes,), "standard.sd": (genes,)}
    require_shapes(tensors, {**expected, **units}, where=where)
    single = {name: np.array(tensors[name], dtype=np.float32) for name in (*expected, *units)}
    network.load_state_dict({name: torch.from_numpy(single[name]) for name in expected})
    if not (single["standard.sd"] > 0).all():
        raise ModelError("a scale is not above zero", where=where, remedy=ANEW)
    return single["standard.mean"], single["standard.sd"]
