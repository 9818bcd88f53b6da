"""A training table without holes: what the Gaussian and the memory are fitted to, and whom to hold out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.imputer.gaussian import GaussianStart, fit_factors, regress_on_factors
from histoscribe.imputer.reference import ReferenceMemory, choose_references
from histoscribe.imputer.training.table import TrainingTable

_CHUNK = 256
_FOLDS = 4


@dataclass(frozen=True)
class GaussianOptions:
    """What the Gaussian start is fitted with."""

    factors: int
    inflation: float
    """Of the noise: shrinks what few samples overstate."""
    old: float = 1.0
    """Weight of a sample remembered from an earlier model, where a new one counts 1. With 0 the new table is
    learned alone, and the old samples only tell of the genes that it lacks."""


@dataclass(frozen=True, eq=False)
class FilledTable:
    """A filled training table."""

    filled: NDArray[np.float32]
    """Standardised, without NaN, shape (samples, genes)."""
    known: NDArray[np.bool_]
    """False where it was filled, shape (samples, genes)."""
    blocks: NDArray[np.bool_]
    """False where a sample belongs to a table that lacks the gene, shape (samples, genes)."""
    folds: NDArray[np.int64]
    """-1 for samples remembered from an earlier model, which are never held out, shape (samples,)."""
    seed: int

    def start(self, rows: NDArray[np.bool_], choice: GaussianOptions) -> GaussianStart:
        """The conditional Gaussian of some samples; genes that none of them knows expect their mean."""
        loadings, noise = self.factors(rows, choice)
        return GaussianStart(torch.from_numpy(loadings), torch.from_numpy(choice.inflation * noise))

    def factors(
        self, rows: NDArray[np.bool_], choice: GaussianOptions
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Loadings and noise before inflation."""
        remembered = rows & (self.folds < 0)
        rows = self._counting(rows, choice)
        blocks = self.blocks[rows]
        there: NDArray[np.bool_] = np.asarray(blocks.any(0))
        loadings = np.zeros((len(there), choice.factors), dtype=np.float32)
        noise = np.ones(len(there), dtype=np.float32)
        found, noise[there] = fit_factors(
            self.filled[rows][:, there], choice.factors, seed=self.seed, inflation=1.0,
            known=blocks[:, there], weights=np.where(self.folds[rows] < 0, choice.old, 1.0),
        )  # fmt: skip
        loadings[there, : found.shape[1]] = found
        known: NDArray[np.bool_] = np.asarray(self.blocks[remembered].any(0))
        lacking, shared = known & ~there, known & there
        if choice.old == 0 and lacking.any():  # genes of old samples alone, from the factors of those shared
            values, own = self.filled[remembered], loadings[shared]
            scaled = own / noise[shared, None]
            inner = np.linalg.inv(np.eye(own.shape[1], dtype=np.float32) + own.T @ scaled)
            scores = values[:, shared] @ (scaled @ inner)
            loadings[lacking], noise[lacking] = regress_on_factors(scores, inner, values[:, lacking])
        return loadings, noise

    def memory(
        self, rows: NDArray[np.bool_], choice: GaussianOptions, limit: int, start: GaussianStart
    ) -> ReferenceMemory:
        """The memory of at most `limit` of some samples.

        What a whole table lacks is filled by the Gaussian of the same samples (`start`), so that samples held
        out from them have no say in it.
        """
        rows = self._counting(rows, choice)
        kept = np.flatnonzero(rows)[choose_references(self.folds[rows], limit, self.seed)]
        samples, there = torch.from_numpy(self.filled[kept]), torch.from_numpy(self.blocks[kept])
        if not bool(there.all()):
            samples = torch.where(there, samples, start.expect(start.factors(samples, there)))
        return ReferenceMemory(samples)

    def _counting(self, rows: NDArray[np.bool_], choice: GaussianOptions) -> NDArray[np.bool_]:
        return rows & (self.folds >= 0) if choice.old == 0 else rows


def fill_table(table: TrainingTable, seed: int) -> FilledTable:
    """Fill the holes of a training table and assign its own patients to folds."""
    values, old, own = table.values, table.old, table.own
    known = ~np.isnan(values)
    blocks = np.concatenate([np.broadcast_to(part.any(0), part.shape) for part in (known[:old], known[old:])])
    if old:
        values = values.copy()
        size = max(1, (len(values) - old) // 3)
        values[old:, :own] = _fill_holes(values[old:, :own], blocks[old:, :own], size, seed)
    filled = _fill_holes(values, blocks, max(1, len(values) // 3), seed)
    groups = table.groups[old:]
    folds = np.full(len(values), -1, dtype=np.int64)
    folds[old:] = assign_folds(groups, min(_FOLDS, max(2, len(set(groups)))), seed)
    return FilledTable(filled, known, blocks, folds, seed)


def assign_folds(groups: Sequence[str], folds: int, seed: int) -> NDArray[np.int64]:
    """A fold per sample, whole groups together."""
    names, which = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    return np.asarray((order % folds)[which], dtype=np.int64)


def _fill_holes(
    values: NDArray[np.float32], blocks: NDArray[np.bool_], factors: int, seed: int
) -> NDArray[np.float32]:
    """Fill natural holes (NaN) with a first factor model's expectation; `blocks` as in `FilledTable`."""
    known = ~np.isnan(values)
    filled = np.nan_to_num(values).astype(np.float32)
    if known.all():
        return filled
    for _ in range(2):
        start = GaussianStart(
            *map(torch.from_numpy, fit_factors(filled, min(factors, 50), seed=seed, known=blocks))
        )
        holes = np.flatnonzero(~known.all(1))
        for at in range(0, len(holes), _CHUNK):
            rows = holes[at : at + _CHUNK]
            seen = torch.from_numpy(known[rows])
            expected = start.expect(start.factors(torch.from_numpy(filled[rows]), seen))
            filled[rows] = torch.where(seen, torch.from_numpy(filled[rows]), expected).numpy()
    return filled
