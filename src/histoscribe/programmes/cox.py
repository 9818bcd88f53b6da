"""Cox's proportional hazards, in sums over sorted times, and the risk that goes with programmes.

Cox, *Journal of the Royal Statistical Society B* 34, 1972; tied times by Breslow, *Biometrics* 30, 1974.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.utils.extmath import randomized_svd

from histoscribe.arrays import Mask, Numbers, Wide
from histoscribe.errors import TableError, told_as

if TYPE_CHECKING:
    from histoscribe.bulk import BulkTable

_LEAST = -100.0
_PENALTY, _COMPONENTS, _GENES = 2.0, 20, 5000
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class Survival:
    """How long each sample was followed, and whether the event came."""

    time: Wide
    """Above zero; 0 where not known, so that the sample is never at risk. Shape (samples,)."""
    event: Wide
    """1 where it came, 0 where not, shape (samples,)."""

    def __getitem__(self, rows: Mask | Numbers) -> Survival:
        return Survival(self.time[rows], self.event[rows])

    @property
    def known(self) -> Mask:
        """Whose survival is known, shape (samples,)."""
        return self.time > 0

    @property
    def events(self) -> int:
        """How many events came."""
        return int(self.event.sum())


def survival_in(bulk: BulkTable, time: str = "time", event: str = "event") -> Survival:
    """Times and events from two columns of `obs`; a sample with a hole, or a time not above 0, is not known.

    Raises `TableError` if a column is missing or holds no such numbers.
    """
    obs, where = bulk.table.obs, bulk.name
    lacking = [name for name in (time, event) if name not in obs]
    if lacking:
        has = ", ".join(map(str, obs.columns)) or "none: name a file that describes its samples"
        problem = f"it names no times and events, there is no column {lacking[0]}"
        raise TableError(problem, where=where, remedy=f"name them; its samples have the columns {has}")
    remedy = "give times as numbers, and events as 1 where they came and 0 where not"
    problem = "times or events are no numbers"
    with told_as(TableError, problem, TypeError, ValueError, where=where, remedy=remedy):
        times, events = (obs[name].to_numpy(dtype=np.float64) for name in (time, event))
    other = sorted(set(events[np.isfinite(events)]) - {0.0, 1.0})
    if other:
        raise TableError(f"an event is {other[0]:g}", where=where, remedy=remedy)
    known = np.isfinite(times) & np.isfinite(events) & (times > 0)
    return Survival(np.where(known, times, 0.0), np.where(known, events, 0.0))


def partial_likelihood(risk: Wide, survival: Survival) -> tuple[float, Wide]:
    """Cox's log partial likelihood, and its derivative with respect to each log risk: martingale residuals.

    `risk`: shape (samples,), as are the residuals.
    """
    order = np.argsort(survival.time, kind="stable")
    time, event, log_risk = survival.time[order], survival.event[order], risk[order]
    first, last = np.searchsorted(time, time, "left"), np.searchsorted(time, time, "right") - 1
    top = float(log_risk.max(initial=0.0))
    weight = np.exp(np.maximum(log_risk - top, _LEAST))
    at_risk = np.cumsum(weight[::-1])[::-1][first]
    hazard = np.cumsum(event / at_risk)[last]
    residuals = np.empty_like(risk)
    residuals[order] = event - weight * hazard
    return float((event * (log_risk - top - np.log(at_risk))).sum()), residuals


def ridge_cox(values: Wide, survival: Survival, penalty: float) -> Wide:
    """Coefficients, shape (columns,); `penalty` / 2 · their squares, per sample, is added to the loss.

    `values`: shape (samples, columns), centred and of unit variance.
    """
    known = survival.known
    x, own = values[known], survival[known]

    def loss(tried: Wide) -> tuple[float, Wide]:
        likelihood, residuals = partial_likelihood(x @ tried, own)
        value = penalty / 2 * float(tried @ tried) - likelihood / len(x)
        return value, penalty * tried - x.T @ residuals / len(x)

    found = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x
    return np.asarray(found, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Risk:
    """A log hazard ratio against the mean of those learned from; linear in activities and genes."""

    genes: tuple[str, ...]
    mean: Wide
    sd: Wide
    weights: Wide
    """`mean`, `sd`: of logarithms, `weights`: per standard deviation. Shape (genes,)."""
    middle: Wide
    slopes: Wide
    """`middle`: mean activities, `slopes`: per unit of activity. Shape (programmes,)."""

    @classmethod
    def of(cls, logs: Wide, genes: NDArray[np.str_], activities: Wide, survival: Survival) -> Risk:
        """Learn from logarithms (samples, genes), NaN where missing, by their principal components, and from
        activities (samples, programmes)."""
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

    def tell(self, logs: Wide, activities: Wide, *, adapt: bool) -> Wide:
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
