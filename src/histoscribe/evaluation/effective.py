"""How many spots those of a comparison are worth: neighbours resemble each other, so fewer than there are.

The difference of two means is a weighted sum of values, with weights `w`. Its variance is `w' R w` times that
of a single spot, where independent spots would give `w' w`; `R` holds the correlation of two spots by their
distance, which each gene's own residuals tell (the variance inflation of Clifford, Richardson and Hémon,
*Biometrics* 1989).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histoscribe.bulk.table import dense
from histoscribe.progress import Progress

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_FARTHEST = 12  # in pitches: beyond, patches of tissue are taken for independent
_SAMPLED = 600  # spots whose surroundings the correlation is estimated from
_MOST = 5_000  # spots whose surroundings the comparison itself is told from
_VALUES_AT_ONCE = 3_000_000


def effective_share(
    values: Any,
    centres: ArrayLike,
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    pitch: float,
    *,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """The share of all spots that independent ones would need for the same certainty, for each gene.

    `values` (spots, genes) are of all spots of the section: what lies outside both classes tells of their
    likeness too; `centres` (spots, 2): in the unit of `pitch`; `first` and `second` (spots,): the spots of
    both classes; `pitch`: distance of neighbours. Returns (genes,): above 0 and at most 1; 1 for a gene whose
    residuals do not vary.
    """
    places = np.asarray(centres, dtype=np.float64) / pitch
    count = len(places)
    weights = first / max(first.sum(), 1) - second / max(second.sum(), 1)
    compared = np.flatnonzero(weights)
    order = np.random.default_rng(0).permutation(count)
    looked = order[weights[order] != 0][:_MOST]
    met = np.array([(weights[looked] * (ring @ weights)).sum() for ring in _rings(places, looked)])
    met *= len(compared) / max(len(looked), 1) / (weights @ weights)
    rows = order[:_SAMPLED]
    rings = _rings(places, rows)
    pairs = np.array([max(ring.nnz, 1) for ring in rings])[:, None]
    shares = np.ones(values.shape[1])
    step = max(1, _VALUES_AT_ONCE // max(count, 1))
    starts = range(0, values.shape[1], step)
    for start in (progress or Progress()).track(starts, "weighing neighbouring spots", len(starts)):
        rest = np.asarray(dense(values[:, start : start + step]), dtype=np.float64)
        for one in (first, second, weights == 0):
            rest[one] -= rest[one].mean(axis=0) if one.any() else 0
        spread = (rest**2).mean(axis=0)
        alike = np.array([(rest[rows] * (ring @ rest)).sum(axis=0) for ring in rings]) / pairs
        alike = np.divide(alike, spread, out=np.zeros_like(alike), where=spread > 0)
        alike *= np.cumprod(alike > 2 / np.sqrt(pairs), axis=0)  # less is chance, as is what comes behind
        shares[start : start + step] = 1 / np.maximum(1 + met @ alike, 1)
    return shares


def _rings(places: NDArray[np.float64], rows: NDArray[np.intp]) -> list[csr_array]:
    """Which spots lie one, two, ... pitches from these rows: ones, shape (rows, spots)."""
    from scipy.sparse import csr_array
    from scipy.spatial import cKDTree

    tree, reach = cKDTree(places), _FARTHEST + 0.5
    found = cKDTree(places[rows]).sparse_distance_matrix(tree, reach, output_type="coo_matrix")
    ring = np.where(found.data > 1e-9, np.rint(found.data).clip(1), 0)
    shape = (len(rows), len(places))
    return [
        csr_array((np.ones(on.sum()), (found.row[on], found.col[on])), shape=shape)
        for on in (ring == distance for distance in range(1, _FARTHEST + 1))
    ]
