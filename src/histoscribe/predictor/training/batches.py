"""Training batches: sections joined into one graph, or a large section cut into pieces."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from histoscribe.arrays import Floats, Numbers
from histoscribe.graphs import spatial_graph
from histoscribe.models.reproducible import own_process
from histoscribe.rows import Held

_MOST_KEPT = 50_000


@dataclass(frozen=True, eq=False)
class TrainingSpots:
    """Prepared spots of one section."""

    features: Held
    """Shape (spots, inputs)."""
    expression: Held
    """Shape (spots, genes)."""
    places: Floats
    """In pitches, from the middle of the section, shape (spots, 2)."""
    types: Numbers
    numbers: Numbers
    """`types` and `numbers`: type of each spot, and its number among all training spots, shape (spots,)."""
    trust: Floats
    """How much each spot counts, shape (spots,)."""

    def part(self, rows: Numbers) -> TrainingSpots:
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


class SpotBatches(Sequence[SpotBatch]):
    """Batches of about so many spots, made when they are asked for; kept where all spots are few.

    `sections` are grouped in their order; one with more spots than `size` is cut along its longer side into
    equal pieces. `radius`: of the spatial graph, in pitches; `joined`: whether a batch may hold several of
    them.
    """

    def __init__(
        self, sections: Sequence[TrainingSpots], size: int, *, radius: float, joined: bool = True
    ) -> None:
        self._groups: list[list[tuple[TrainingSpots, Numbers]]] = []
        self._sections, self._radius = sections, radius
        room = 0
        for section in sections:
            room = room if joined else 0
            for rows in _pieces(section, size):
                if not self._groups or len(rows) > room:
                    self._groups.append([])
                    room = size
                self._groups[-1].append((section, rows))
                room -= len(rows)
        self.spots = sum(len(section.numbers) for section in sections)
        few = self.spots <= _MOST_KEPT
        self._kept = [self._made(number) for number in range(len(self))] if few else None

    @cached_property
    def digest(self) -> bytes:
        """Of all that they hold."""
        found = hashlib.sha256()
        for section in self._sections:
            for entry in fields(TrainingSpots):
                found.update(np.ascontiguousarray(getattr(section, entry.name)).data)
        return found.digest()

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, number: int) -> SpotBatch:  # type: ignore[override]
        return self._made(number) if self._kept is None else self._kept[number]

    def _made(self, number: int) -> SpotBatch:
        parts = [section.part(rows) for section, rows in self._groups[number]]
        starts = np.cumsum([0, *(len(part.numbers) for part in parts)])
        edges = [
            spatial_graph(part.places, 1.0, radius=self._radius) + start
            for part, start in zip(parts, starts[:-1], strict=True)
        ]
        columns = {
            entry.name: torch.from_numpy(np.concatenate([getattr(part, entry.name) for part in parts]))
            for entry in fields(TrainingSpots)
        }
        return SpotBatch(**columns, spatial=torch.from_numpy(np.concatenate(edges, axis=1)))


def training_steps(batches: SpotBatches, steps: int, seed: int, first: int) -> Iterator[SpotBatch]:
    """Yield batches in a new order on every pass, one a step.

    Each follows from the seed and its number alone, so that training that goes on at `first` sees what it
    would have seen. Of several processes, each takes its share of every pass.
    """
    process, processes = own_process()
    draws, order = torch.Generator().manual_seed(seed), torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        while len(order) < processes:
            order = torch.cat([order, torch.randperm(len(batches), generator=draws)])
        mine, order = int(order[process]), order[processes:]
        if step >= first:
            yield batches[mine]


def _pieces(section: TrainingSpots, size: int) -> list[Numbers]:
    """Rows of each piece."""
    every = np.arange(len(section.numbers))
    count = -(-len(every) // size)
    if count == 1:
        return [every]
    longer = int(np.argmax(np.ptp(section.places, axis=0)))
    order = np.argsort(section.places[:, longer], kind="stable")
    return [np.sort(rows) for rows in np.array_split(order, count)]
