"""How well predicted values fit measured ones, gene by gene.

Every measure takes two arrays of shape (spots, genes), measured first, and returns one float64 per gene.
Where a measure is undefined (a gene that is the same in all spots has no correlation) it is NaN: never
a silent zero.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from histoscribe.arrays import Wide
from histoscribe.errors import TableError

Scores = Wide
ENDS = (1 - 0.95) / 2, (1 + 0.95) / 2
"""Of an interval that holds 95 %."""
_BLOCK = 1 << 20


def pearson_per_gene(measured: ArrayLike, predicted: ArrayLike) -> Scores:
    """Pearson's r of each gene over the spots; NaN where either side is constant."""
    return _per_gene(_correlation, measured, predicted)


def spearman_per_gene(measured: ArrayLike, predicted: ArrayLike) -> Scores:
    """Spearman's rank correlation of each gene (ties share their mean rank); NaN where a side is constant."""
    return _per_gene(_rank_correlation, measured, predicted)


def mse_per_gene(measured: ArrayLike, predicted: ArrayLike) -> Scores:
    """Mean squared error of each gene over the spots."""
    return _per_gene(lambda a, b: np.mean((a - b) ** 2, axis=0), measured, predicted)


def mae_per_gene(measured: ArrayLike, predicted: ArrayLike) -> Scores:
    """Mean absolute error of each gene over the spots."""
    return _per_gene(lambda a, b: np.mean(np.abs(a - b), axis=0), measured, predicted)


@dataclass(frozen=True)
class Interval:
    """A mean and where it may lie."""

    mean: float
    """Over the values that are defined; NaN where there is none."""
    low: float
    high: float
    """`low` and `high`: percentile bootstrap interval (95 %); NaN for fewer than two values."""
    over: str
    """What was resampled: `genes` or `sections`."""


def bootstrap_mean(values: ArrayLike, *, over: str = "genes", draws: int = 2000, seed: int = 0) -> Interval:
    """The mean of scores with a percentile bootstrap interval.

    `values` (n,): one score per gene or per section; NaN are left out. `over`: what one value stands for.
    `seed`: the same seed gives the same interval.
    """
    scores = np.asarray(values, dtype=np.float64)
    scores = scores[np.isfinite(scores)]
    if scores.size < 2:
        mean = float(scores.mean()) if scores.size else float("nan")
        return Interval(mean, float("nan"), float("nan"), over)
    rng = np.random.default_rng(seed)
    means = scores[rng.integers(0, scores.size, size=(draws, scores.size))].mean(axis=1)
    low, high = np.quantile(means, ENDS)
    return Interval(float(scores.mean()), float(low), float(high), over)


def _per_gene(
    measure: Callable[[Scores, Scores], Scores], measured: ArrayLike, predicted: ArrayLike
) -> Scores:
    """A measure of matching columns, a few genes at a time: memory stays bounded, other threads get on."""
    a, b = np.asarray(measured), np.asarray(predicted)
    if a.shape != b.shape or a.ndim != 2:
        remedy = "give the same spots and genes on both sides"
        raise TableError(f"cannot compare arrays of shapes {a.shape} and {b.shape}", remedy=remedy)
    if not len(a):
        raise TableError("there are no spots to compare", remedy="give at least two spots")
    width = max(1, _BLOCK // len(a))
    parts = [slice(start, start + width) for start in range(0, max(a.shape[1], 1), width)]
    sides = ((a[:, part].astype(np.float64), b[:, part].astype(np.float64)) for part in parts)
    return np.concatenate([measure(*pair) for pair in sides])


def _correlation(a: Scores, b: Scores) -> Scores:
    """Correlation of matching columns; a column counts as constant by its values, not by rounding."""
    constant = (a == a[:1]).all(axis=0) | (b == b[:1]).all(axis=0)
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = (side / np.abs(side).max(axis=0) for side in (a, b))
        norm = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
        r = (a * b).sum(axis=0) / norm
    return np.asarray(np.where(constant, np.nan, np.clip(r, -1, 1)))


def _rank_correlation(a: Scores, b: Scores) -> Scores:
    from scipy.stats import rankdata

    lost = np.isnan(a).any(axis=0) | np.isnan(b).any(axis=0)
    return np.where(lost, np.nan, _correlation(rankdata(a, axis=0), rankdata(b, axis=0)))
