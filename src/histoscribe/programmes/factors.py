"""Non-negative factors: a table as a sum of few programmes, with or without survival's say in them.

Plain factors are scikit-learn's (Lee and Seung, *Nature* 401, 1999). With survival, the loss is

    |X - H W|² / |X|²  -  weight · log partial likelihood of Cox's model / events

as in CoxNMF (Huang et al. 2020), in multiplicative steps: what a derivative adds goes to the numerator
where it is positive, to the denominator where it is negative. There the log risk is H b, and the activities
of each training sample bend to its survival, which a new sample's cannot. Here it is X Wᵀ b: only the
programmes bend. b is a ridge Cox regression on the scores of the moment.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from histoscribe.arrays import Numbers, Wide
from histoscribe.programmes.cox import Survival, partial_likelihood, ridge_cox

PENALTY = 0.05
_ROUNDS, _EVERY, _TINY = 150, 5, 1e-9
_SWEEPS = 60
_LOW, _HIGH = 0.02, 10.0


@dataclass(frozen=True, eq=False)
class GeneScaling:
    """What makes genes comparable and never negative: each one's low values become 0, its spread 1."""

    low: Wide
    """The 2nd percentile, shape (genes,)."""
    spread: Wide
    """The standard deviation, shape (genes,)."""
    middle: Wide
    """The mean once scaled, for what is missing, shape (genes,)."""

    @classmethod
    def of(cls, values: Wide) -> GeneScaling:
        """Learn from values, shape (samples, genes), NaN where missing."""
        ranked, last = np.sort(values, axis=0), np.maximum((~np.isnan(values)).sum(0) - 1, 0)
        below, genes = (_LOW * last).astype(np.int64), np.arange(values.shape[1])
        step = ranked[np.minimum(below + 1, last), genes] - ranked[below, genes]
        low, spread = ranked[below, genes] + (_LOW * last - below) * step, np.nanstd(values, axis=0)
        half = cls(low, np.maximum(spread, _TINY), np.zeros(len(low)))
        return cls(half.low, half.spread, np.nanmean(half.apply(values, keep_holes=True), axis=0))

    def apply(self, values: Wide, *, keep_holes: bool = False) -> Wide:
        """Scaled values; holes are filled with the gene's mean unless they are kept."""
        scaled = np.clip((values - self.low) / self.spread, 0, _HIGH)
        return scaled if keep_holes else np.where(np.isnan(scaled), self.middle, scaled)


@dataclass(frozen=True, eq=False)
class Factors:
    """A table as a product, `activities` @ `loadings`."""

    activities: Wide
    """Shape (samples, programmes), in units of all its genes' expression together."""
    loadings: Wide
    """Each programme's share of every gene, rows sum up to 1. Shape (programmes, genes)."""
    loss: float
    """Share of the squares that is not explained."""


def factorise(
    x: Wide, number: int, *, seed: int, survival: Survival | None = None, weight: float = 0.0
) -> Factors:
    """Find so many programmes; the most active one comes first.

    `x`: never negative, without NaN, shape (samples, genes). `weight`: how much survival has to say. Starts
    from random numbers: another `seed` may end in other programmes.
    """
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        model = NMF(number, init="random", random_state=seed, max_iter=_ROUNDS, tol=2e-4)
        h = model.fit_transform(x.astype(np.float32)).astype(np.float64)
        w = model.components_.astype(np.float64)
    if survival is not None and weight > 0:
        w = _with_survival(x, h + _TINY, w + _TINY, survival, weight)
        h = project(x, w)
    mass = np.maximum(w.sum(1), _TINY)
    h, w = h * mass, w / mass[:, None]
    order = np.argsort(-h.sum(0), kind="stable")
    loss = float(((x - h @ w) ** 2).sum() / max((x**2).sum(), _TINY))
    return Factors(h[:, order], w[order], loss)


def _with_survival(x: Wide, h: Wide, w: Wide, survival: Survival, weight: float) -> Wide:
    scale = weight * float((x**2).sum()) / 2 / max(survival.events, 1)
    pull = np.zeros_like(w)
    for turn in range(_ROUNDS):
        size = np.maximum(np.linalg.norm(w, axis=1), _TINY)
        h, w = h * size, w / size[:, None]
        if turn % _EVERY == 0:
            scores = x @ w.T
            spread = scores.std(0) + _TINY
            scores = (scores - scores.mean(0)) / spread
            risk = ridge_cox(scores, survival, PENALTY)
            residuals = partial_likelihood(scores @ risk, survival)[1]
            pull = scale * np.outer(risk / spread, residuals @ x)
        h = h * (x @ w.T) / (h @ (w @ w.T) + _TINY)
        w = w * (h.T @ x + np.maximum(pull, 0)) / (h.T @ h @ w + np.maximum(-pull, 0) + _TINY)
    return w


def project(x: Wide, loadings: Wide, counted: Wide | None = None) -> Wide:
    """The non-negative activities that explain `x` best, shape (samples, programmes).

    Least squares by coordinates, all samples at once. `counted`: how often each gene counts, shape (genes,).
    """
    weighed = loadings if counted is None else loadings * counted
    inner, pulls = weighed @ loadings.T, x @ weighed.T
    found = np.zeros((len(x), len(loadings)))
    for _ in range(_SWEEPS):
        for one in range(len(loadings)):
            left = pulls[:, one] - found @ inner[:, one]
            found[:, one] = np.maximum(found[:, one] + left / max(inner[one, one], _TINY), 0)
    return found


def matched(loadings: Wide, others: Wide) -> tuple[Numbers, Wide]:
    """For each programme its partner among as many others, and how alike the two are (cosine)."""
    both = (loadings, others)
    one, two = (each / np.maximum(np.linalg.norm(each, axis=1), _TINY)[:, None] for each in both)
    alike = one @ two.T
    partner = np.asarray(linear_sum_assignment(-alike)[1], dtype=np.int64)
    return partner, alike[np.arange(len(loadings)), partner]
