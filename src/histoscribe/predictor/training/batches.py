"""Training batches: sections joined into one graph, or a large section cut into pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from histoscribe.graphs import spatial_graph


@dataclass(frozen=True, eq=False)
class TrainingSpots:
    """Prepared spots of one section."""

    features: NDArray[np.float32]
    """Shape (spots, inputs)."""
    expression: NDArray[np.float32]
    """Shape (spots, genes)."""
    places: NDArray[np.float32]
    """In pitches, from the middle of the section, shape (spots, 2)."""
    types: NDArray[np.int64]
    numbers: NDArray[np.int64]
    """`types` and `numbers`: type of each spot, and its number among all training spots, shape (spots,)."""
    trust: NDArray[np.float32]
    """How much each spot counts, shape (spots,)."""

    def part(self, rows: NDArray[np.int64]) -> TrainingSpots:
        """Only these rows."""
        return TrainingSpots(*(getattr(self, entry.name)[rows] for entry in fields(self)))


@dataclass(frozen=True, eq=False)
class SpotBatch:
    """Spots of one or more sections as tensors; `spatial` (2, edges) never joins two sections."""

    features: Tensor
    expression: Tensor
    places: Tensor
    types: Tensor
    numbers: Tensor
    trust: Tensor
    spatial: Tensor

    def to(self, device: torch.device | str) -> SpotBatch:
        """The same batch on another device."""
        return SpotBatch(*(getattr(self, entry.name).to(device) for entry in fields(self)))


def make_batches(sections: Sequence[TrainingSpots], size: int, *, radius: float) -> list[SpotBatch]:
    """Group sections, in their order, into batches of about `size` spots.

    `size`: a section with more spots is cut along its longer side into equal pieces; `radius`: of the spatial
    graph, in pitches.
    """
    groups: list[list[TrainingSpots]] = []
    room = 0
    for piece in (piece for section in sections for piece in _pieces(section, size)):
        count = len(piece.features)
        if not groups or count > room:
            groups.append([])
            room = size
        groups[-1].append(piece)
        room -= count
    return [_joined(group, radius) for group in groups]


def _pieces(section: TrainingSpots, size: int) -> list[TrainingSpots]:
    count = -(-len(section.features) // size)
    if count == 1:
        return [section]
    longer = int(np.argmax(np.ptp(section.places, axis=0)))
    order = np.argsort(section.places[:, longer], kind="stable")
    return [section.part(np.sort(rows)) for rows in np.array_split(order, count)]


def _joined(group: Sequence[TrainingSpots], radius: float) -> SpotBatch:
    starts = np.cumsum([0, *(len(piece.features) for piece in group)])
    edges = [
        spatial_graph(piece.places, 1.0, radius=radius) + start
        for piece, start in zip(group, starts[:-1], strict=True)
    ]
    columns = {
        entry.name: torch.from_numpy(np.concatenate([getattr(piece, entry.name) for piece in group]))
        for entry in fields(TrainingSpots)
    }
    return SpotBatch(**columns, spatial=torch.from_numpy(np.concatenate(edges, axis=1)))
