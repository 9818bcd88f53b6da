"""What the stages of training draw from: metastases, and parents to mix beside real codes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from histoscribe.arrays import Floats, Numbers
from histoscribe.generator.parents import draw_of, mix
from histoscribe.models.standard import Standard

_BATCH = 128
_REAL = 384

Batch = tuple[torch.Tensor, ...]


@dataclass(frozen=True, eq=False)
class MixingSamples:
    """What the second stage draws its batches from."""

    primaries: Floats
    normals: Floats
    """`primaries` and `normals`: log2 of abundance, shape (samples, genes)."""
    primary_classes: Numbers
    normal_classes: Numbers
    """`primary_classes` and `normal_classes`: cancer of a primary, site of a normal tissue, shape
    (samples,)."""
    pairs: Numbers
    """Cancer and site of each real metastasis, shape (metastases, 2)."""
    codes: Floats
    """Of the real metastases, shape (metastases, CODE)."""
    purity: Floats
    """As estimated, shape (metastases,)."""

    def draw_parents(self, pairs: Numbers, random: np.random.Generator) -> tuple[Numbers, Numbers]:
        """A random primary of each pair's cancer and a random normal tissue of its site, as row indices."""
        primaries = draw_of(self.primary_classes, pairs[:, 0], random)
        return primaries, draw_of(self.normal_classes, pairs[:, 1], random)


def metastasis_batches(profiles: Floats, pairs: Numbers, steps: int, seed: int) -> Iterator[Batch]:
    """Yield metastases with their classes, in a new order each epoch."""
    random = np.random.default_rng(seed)
    size = min(_BATCH, len(profiles))
    order = np.empty(0, dtype=np.int64)
    for _ in range(steps):
        if len(order) < size:
            order = random.permutation(len(profiles))
        rows, order = order[:size], order[size:]
        yield torch.from_numpy(profiles[rows]), torch.from_numpy(pairs[rows])


def mixture_batches(given: MixingSamples, standard: Standard, steps: int, seed: int) -> Iterator[Batch]:
    """Yield parents for the mixer, and real codes to be pulled to."""
    random = np.random.default_rng(seed)
    count = len(given.pairs)
    for _ in range(steps):
        rows = random.integers(count, size=_BATCH)
        primary, normal = given.draw_parents(given.pairs[rows], random)
        around = given.purity[rows] + random.normal(0, 0.05, _BATCH)
        purity = np.clip(around, 0.05, 1).astype(np.float32)
        mixed = mix(given.primaries[primary], given.normals[normal], purity)
        real = random.choice(count, min(_REAL, count), replace=False)
        parts = (given.primaries[primary], given.normals[normal], mixed)
        asked = (purity, given.pairs[rows], given.codes[real], given.pairs[real])
        yield tuple(map(torch.from_numpy, (*map(standard.apply, parts), *asked)))
