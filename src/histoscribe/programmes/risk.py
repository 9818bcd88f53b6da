"""The risk that goes with programmes: ridge Cox on activities and on principal components of all genes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histoscribe.programmes.cox import Floats, Survival, ridge_cox

_PENALTY, _COMPONENTS, _GENES = 2.0, 20, 5000
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Risk:
    """A log hazard ratio against the mean of those learned from; linear in activities and genes."""

    genes: tuple[str, ...]
    mean: Floats
    sd: Floats
    weights: Floats
    """`mean`, `sd`: of logarithms, `weights`: per standard deviation. Shape (genes,)."""
    middle: Floats
    slopes: Floats
    """`middle`: mean activities, `slopes`: per unit of activity. Shape (programmes,)."""

    @classmethod
    def of(cls, logs: Floats, genes: NDArray[np.str_], activities: Floats, survival: Survival) -> Risk:
        """Learn from logarithms (samples, genes), NaN where missing, and activities (samples, programmes)."""
        from sklearn.utils.extmath import randomized_svd

        seen = (~np.isnan(logs)).mean(0) > 0.5
        spread = np.where(seen, np.nanstd(np.where(seen, logs, 0), axis=0), 0)
        kept = np.sort(np.argsort(-spread, kind="stable")[: min(_GENES, int((spread > 1e-6).sum()))])
        mean, sd = np.nanmean(logs[:, kept], axis=0), spread[kept]
        z = np.nan_to_num((logs[:, kept] - mean) / sd)
        axes = randomized_svd(z, min(_COMPONENTS, *z.shape), random_state=0)[2]
        columns = np.hstack([activities, z @ axes.T])
        middle, scale = columns.mean(0), columns.std(0) + _TINY
        slopes = ridge_cox((columns - middle) / scale, survival, _PENALTY) / scale
        count = activities.shape[1]
        weights = slopes[count:] @ axes
        return cls(tuple(map(str, genes[kept])), mean, sd, weights, middle[:count], slopes[:count])

    def tell(self, logs: Floats, activities: Floats, *, adapt: bool) -> Floats:
        """Of samples, shape (samples,); what is missing counts as the mean.

        `adapt`: take the table's own means and spreads of genes.
        """
        known = (~np.isnan(logs)).any(0)
        mean, sd = self.mean, self.sd
        if adapt:
            filled = np.where(known, logs, 0)
            mean, sd = np.nanmean(filled, axis=0), np.maximum(np.nanstd(filled, axis=0), 1e-3)
        z = np.nan_to_num((logs - mean) / sd)
        return np.asarray(z @ self.weights + (activities - self.middle) @ self.slopes, dtype=np.float64)
