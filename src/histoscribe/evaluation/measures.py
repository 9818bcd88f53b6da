"""How well predicted values fit measured ones, gene by gene.

Every measure takes two arrays of shape (spots, genes), measured first, and returns one float64 per gene.
Where a measure is undefined (a gene that is the same in all spots has no correlation) it is NaN: never
a silent zero.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histoscribe.arrays import Wide
from histoscribe.errors import SettingError, TableError
from histoscribe.progress import Progress

_ENDS = (1 - 0.95) / 2, (1 + 0.95) / 2  # of an interval that holds 95 %
_BLOCK = 1 << 20
_GENES_AT_ONCE, _FEWEST_PATCHES, _DRAWS = 512, 4, 400


def pearson_per_gene(measured: ArrayLike, predicted: ArrayLike) -> Wide:
    """Pearson's r of each gene over the spots; NaN where either side is constant."""
    return _per_gene(_correlation, measured, predicted)


def spearman_per_gene(measured: ArrayLike, predicted: ArrayLike) -> Wide:
    """Spearman's rank correlation of each gene (ties share their mean rank); NaN where a side is constant."""
    return _per_gene(_rank_correlation, measured, predicted)


def mse_per_gene(measured: ArrayLike, predicted: ArrayLike) -> Wide:
    """Mean squared error of each gene over the spots."""
    return _per_gene(lambda a, b: np.mean((a - b) ** 2, axis=0), measured, predicted)


def mae_per_gene(measured: ArrayLike, predicted: ArrayLike) -> Wide:
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
    low, high = np.quantile(means, _ENDS)
    return Interval(float(scores.mean()), float(low), float(high), over)


def pearson_intervals(
    measured: ArrayLike,
    predicted: ArrayLike,
    centres_um: ArrayLike,
    *,
    patch_um: float,
    progress: Progress | None = None,
) -> tuple[Wide, Wide]:
    """Percentile intervals (95 %) of Pearson's r of each gene, by resampling patches of tissue.

    Neighbouring spots resemble each other, so resampling single spots would claim too much certainty. The
    section is cut into square patches, whole patches are drawn with replacement (the block bootstrap of
    Künsch, *Annals of Statistics* 1989, with blocks that do not overlap), and r is computed from the patches'
    sums.

    `measured` and `predicted` (spots, genes). `centres_um` (spots, 2): as (row, column) in µm. `patch_um`:
    side of a patch in µm; a few pitches. Returns each (genes,): lower and upper ends; NaN where fewer than
    four patches hold spots, or where r is undefined in more than a tenth of the resamples. Raises
    `SettingError` if the patch has no size.
    """
    if not patch_um > 0:
        raise SettingError(f"patches of {patch_um} µm are impossible")
    a, b = np.asarray(measured, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    centres = np.asarray(centres_um, dtype=np.float64)
    cells = np.floor((centres - centres.min(axis=0, initial=np.inf)) / patch_um).astype(np.int64)
    patches = np.unique(cells, axis=0, return_inverse=True)[1].reshape(-1)  # counted without gaps
    count = int(patches.max(initial=-1)) + 1
    low, high = np.full(a.shape[1], np.nan), np.full(a.shape[1], np.nan)
    if count < _FEWEST_PATCHES:
        return low, high
    picked = np.random.default_rng(0).integers(0, count, size=(_DRAWS, count))
    weights = np.zeros((_DRAWS, count))
    np.add.at(weights, (np.arange(_DRAWS)[:, None], picked), 1.0)
    progress = progress or Progress()
    starts = range(0, a.shape[1], _GENES_AT_ONCE)
    for start in progress.track(starts, "resampling patches of tissue", len(starts)):
        genes = slice(start, start + _GENES_AT_ONCE)
        r = _resampled(a[:, genes], b[:, genes], patches, weights)
        known = np.isfinite(r).mean(axis=0) >= 0.9
        if known.any():
            found = np.nanquantile(r[:, known], _ENDS, axis=0)
            low[genes][known], high[genes][known] = found
    return low, high


def _resampled(a: Wide, b: Wide, patches: NDArray[np.intp], weights: Wide) -> Wide:
    """Pearson's r of each draw and gene from weighted sums, shape (draws, genes)."""
    from scipy.sparse import csr_array

    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    ones, rows = np.ones(len(patches)), np.arange(len(patches))
    adding = csr_array((ones, (patches, rows)), shape=(int(patches.max()) + 1, len(patches)))
    sums = [weights @ np.asarray(adding @ one) for one in (a, b, a * a, b * b, a * b)]
    n = weights @ np.bincount(patches)[:, None]
    one, other = sums[0] / n, sums[1] / n
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt((sums[2] / n - one**2).clip(0) * (sums[3] / n - other**2).clip(0))
        r = (sums[4] / n - one * other) / spread
    r[spread < 1e-12] = np.nan
    return np.asarray(np.clip(r, -1, 1))


def _per_gene(measure: Callable[[Wide, Wide], Wide], measured: ArrayLike, predicted: ArrayLike) -> Wide:
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


def _correlation(a: Wide, b: Wide) -> Wide:
    """Correlation of matching columns; a column counts as constant by its values, not by rounding."""
    constant = (a == a[:1]).all(axis=0) | (b == b[:1]).all(axis=0)
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = (side / np.abs(side).max(axis=0) for side in (a, b))
        norm = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
        r = (a * b).sum(axis=0) / norm
    return np.asarray(np.where(constant, np.nan, np.clip(r, -1, 1)))


def _rank_correlation(a: Wide, b: Wide) -> Wide:
    from scipy.stats import rankdata

    lost = np.isnan(a).any(axis=0) | np.isnan(b).any(axis=0)
    return np.where(lost, np.nan, _correlation(rankdata(a, axis=0), rankdata(b, axis=0)))
