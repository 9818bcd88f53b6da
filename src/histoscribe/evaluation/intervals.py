"""Intervals of a gene's correlation on one section, by resampling patches of tissue.

Neighbouring spots resemble each other, so resampling single spots would claim too much certainty. The section
is cut into square patches, whole patches are drawn with replacement (the block bootstrap of Künsch,
*Annals of Statistics* 1989, with blocks that do not overlap), and r is computed from the patches' sums.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from histoscribe.errors import SettingError
from histoscribe.evaluation.measures import ENDS, Scores
from histoscribe.progress import Progress

_GENES_AT_ONCE = 512
_FEWEST_PATCHES = 4
_DRAWS = 400


def pearson_intervals(
    measured: ArrayLike,
    predicted: ArrayLike,
    centres_um: ArrayLike,
    *,
    patch_um: float,
    progress: Progress | None = None,
) -> tuple[Scores, Scores]:
    """Percentile intervals (95 %) of Pearson's r of each gene.

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
            found = np.nanquantile(r[:, known], ENDS, axis=0)
            low[genes][known], high[genes][known] = found
    return low, high


def _resampled(a: Scores, b: Scores, patches: NDArray[np.intp], weights: Scores) -> Scores:
    """Pearson's r of each draw and gene from weighted sums, shape (draws, genes)."""
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
