"""What the stages of training draw from: metastases, and parents to mix beside real codes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from histoscribe.generator.parents import draw_of, mix
from histoscribe.models.standard import Standard

_BATCH = 128
_REAL = 384

Batch = tuple[torch.Tensor, ...]


@dataclass(frozen=True, eq=False)
class MixingSamples:
    """What the second stage draws its batches from."""

    primaries: NDArray[np.float32]
    normals: NDArray[np.float32]
    """`primaries` and `normals`: log2 of abundance, shape (samples, genes)."""
    primary_classes: NDArray[np.int64]
    normal_classes: NDArray[np.int64]
    """`primary_classes` and `normal_classes`: cancer of a primary, site of a normal tissue, shape
    (samples,)."""
    pairs: NDArray[np.int64]
    """Cancer and site of each real metastasis, shape (metastases, 2)."""
    codes: NDArray[np.float32]
    """Of the real metastases, shape (metastases, CODE)."""
    purity: NDArray[np.float32]
    """As estimated, shape (metastases,)."""

    def draw_parents(
        self, pairs: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """A random primary of each pair's cancer and a random normal tissue of its site, as row indices."""
        primaries = draw_of(self.primary_classes, pairs[:, 0], random)
        return primaries, draw_of(self.normal_classes, pairs[:, 1], random)


class MetastasisBatches(IterableDataset[Batch]):
    """Batches of metastases with their classes, in a new order each epoch."""

    def __init__(
        self, profiles: NDArray[np.float32], pairs: NDArray[np.int64], steps: int, seed: int
    ) -> None:
        self.profiles, self.pairs, self.steps, self.seed = profiles, pairs, steps, seed

    def __iter__(self) -> Iterator[Batch]:
        random = np.random.default_rng(self.seed)
        size = min(_BATCH, len(self.profiles))
        order = np.empty(0, dtype=np.int64)
        for _ in range(self.steps):
            if len(order) < size:
                order = random.permutation(len(self.profiles))
            rows, order = order[:size], order[size:]
            yield torch.from_numpy(self.profiles[rows]), torch.from_numpy(self.pairs[rows])


class MixtureBatches(IterableDataset[Batch]):
    """Batches of parents for the mixer, and of real codes to be pulled to."""

    def __init__(self, samples: MixingSamples, standard: Standard, steps: int, seed: int) -> None:
        self.samples, self.standard, self.steps, self.seed = samples, standard, steps, seed

    def __iter__(self) -> Iterator[Batch]:
        random = np.random.default_rng(self.seed)
        given = self.samples
        count = len(given.pairs)
        for _ in range(self.steps):
            rows = random.integers(count, size=_BATCH)
            primary, normal = given.draw_parents(given.pairs[rows], random)
            around = given.purity[rows] + random.normal(0, 0.05, _BATCH)
            purity = np.clip(around, 0.05, 1).astype(np.float32)
            mixed = mix(given.primaries[primary], given.normals[normal], purity)
            real = random.choice(count, min(_REAL, count), replace=False)
            parts = (given.primaries[primary], given.normals[normal], mixed)
            yield (
                *(torch.from_numpy(self.standard.apply(part)) for part in parts),
                torch.from_numpy(purity), torch.from_numpy(given.pairs[rows]),
                torch.from_numpy(given.codes[real]), torch.from_numpy(given.pairs[real]),
            )  # fmt: skip
