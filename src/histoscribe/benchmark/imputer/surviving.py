"""Survival from a few random genes: observed ones, and restored anchors beside them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.benchmark.imputer.scores import Figure
from histoscribe.errors import TableError
from histoscribe.progress import Progress

if TYPE_CHECKING:
    from histoscribe.bulk import BulkTable
    from histoscribe.imputer import Imputer

Values = NDArray[np.float64]
Remember = Callable[[str, Callable[[], Any]], Any]

PANELS = (64, 256)
METHODS = ("PCA of observed", "observed", "observed + restored anchors", "PCA of all genes")
_FOLDS, _INNER = 5, 3
_ANCHORS, _AXES = 20, 20
_PENALTIES = (0.1, 1.0)
_DRAWS = 300


def surviving(
    bulk: BulkTable, seed: int, progress: Progress, remember: Remember | None = None
) -> dict[str, dict[str, Figure]]:
    """Concordance of every method, class by class; a higher risk is worse.

    Folds are drawn within each class. Everything is learned on training patients: the imputer, the
    anchors (genes outside the panel with the largest Cox score statistic), the penalty (by inner folds). The
    anchors of training patients are restored by imputers that have not seen them.

    Parameters
    ----------
    bulk : BulkTable
        With `class`, `time` and `event` in `obs`.
    seed : int
    progress : Progress
    remember : callable, optional
        Given a fold's name and how to compute its risks, gives them back, from an earlier run if it can.

    Returns
    -------
    dict
        By method, each measure with its bootstrap interval over patients.

    Raises
    ------
    TableError
        If times and events are not named.
    """
    cohort = _cohort(bulk, seed)
    random = np.random.default_rng(seed)
    panels = [np.sort(random.choice(bulk.table.n_vars, count, replace=False)) for count in PANELS]
    risk: dict[tuple[str, int], Values] = {}
    for fold in progress.track(range(_FOLDS), f"survival, seed {seed}", _FOLDS):
        compute = partial(_fold_risks, cohort, fold, panels, progress)
        asked = cohort.folds == fold
        for method, count, some in compute() if remember is None else remember(f"fold {fold}", compute):
            risk.setdefault((method, count), np.zeros(len(asked)))[asked] = some
    found: dict[str, dict[str, Figure]] = {method: {} for method in METHODS}
    for (method, count), risks in risk.items():
        for kind in np.unique(cohort.kinds):
            own = cohort.kinds == kind
            name = f"C-index {kind}, {count:,} genes"
            found[method][name] = concordance(cohort.time[own], cohort.event[own], risks[own])
    return found


@dataclass(frozen=True, eq=False)
class _Cohort:
    """Patients whose survival is known, and their folds."""

    bulk: BulkTable
    time: Values
    event: Values
    kinds: NDArray[np.str_]
    folds: NDArray[np.int64]


def _cohort(bulk: BulkTable, seed: int) -> _Cohort:
    obs = bulk.table.obs
    if not {"time", "event"} <= set(obs):
        raise TableError(
            "it names no times and events", where=bulk.name, remedy="name them with --time and --event"
        )
    time, event = (obs[name].to_numpy(dtype=np.float64) for name in ("time", "event"))
    use = np.isfinite(time) & np.isfinite(event) & (time > 0)
    bulk, time, event = replace(bulk, table=bulk.table[use].copy()), time[use], event[use]
    kinds = bulk.table.obs["class"].astype(str).to_numpy() if "class" in obs else np.full(len(time), "all")
    return _Cohort(bulk, time, event, kinds, _folds(kinds, event, seed))


def _fold_risks(
    cohort: _Cohort, fold: int, panels: list[NDArray[np.int64]], progress: Progress
) -> list[tuple[str, int, list[float]]]:
    """Method, number of genes, and the risk of each patient of the fold."""
    time, event, test = cohort.time, cohort.event, cohort.folds == fold
    values = np.nan_to_num(np.asarray(cohort.bulk.table.X, dtype=np.float64))
    imputers = _imputers(cohort.bulk, test, progress)
    restored = [_restored(cohort.bulk, panel, imputers) for panel in panels]
    risk: dict[tuple[str, int], Values] = {}
    for kind in np.unique(cohort.kinds):
        train, asked = ~test & (cohort.kinds == kind), test & (cohort.kinds == kind)
        features = {(METHODS[3], values.shape[1]): _components(values, train)}
        for panel, whole in zip(panels, restored, strict=True):
            anchors = _anchors(values[train], panel, time[train], event[train])
            shown = values[:, panel]
            some = (_components(shown, train), shown, np.hstack([shown, whole[:, anchors]]))
            features |= {(name, len(panel)): part for name, part in zip(METHODS, some, strict=False)}
        for key, part in features.items():
            progress.report(f"Cox regression, {key[0]}, {kind}")
            risk.setdefault(key, np.zeros(len(time)))[asked] = _risks(part, time, event, train, asked)
    return [(method, count, risks[test].tolist()) for (method, count), risks in risk.items()]


def concordance(time: Values, event: Values, risk: Values) -> Figure:
    """Harrell's C with its bootstrap interval over patients; a higher risk dies sooner."""
    from lifelines.utils import concordance_index

    random = np.random.default_rng(0)
    drawn = random.integers(0, len(time), (_DRAWS, len(time)))
    draws = [concordance_index(time[rows], -risk[rows], event[rows]) for rows in drawn]
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(concordance_index(time, -risk, event)), float(low), float(high)


def score_statistics(values: Values, time: Values, event: Values) -> Values:
    """Cox's score test of each column alone, without tied times corrected, shape (columns,)."""
    order = np.argsort(-time, kind="stable")
    x, died = values[order], event[order] > 0
    at_risk = np.arange(1, len(x) + 1)[:, None]
    mean = np.cumsum(x, 0) / at_risk
    spread = np.cumsum(x**2, 0) / at_risk - mean**2
    total = (x - mean)[died].sum(0)
    return np.asarray(total / np.sqrt(np.maximum(spread[died].sum(0), 1e-9)))


def _anchors(values: Values, panel: NDArray[np.int64], time: Values, event: Values) -> NDArray[np.int64]:
    strength = np.abs(score_statistics(values, time, event))
    strength[panel] = -1
    return np.asarray(np.argsort(-strength)[:_ANCHORS], dtype=np.int64)


def _imputers(
    bulk: BulkTable, test: NDArray[np.bool_], progress: Progress
) -> list[tuple[NDArray[np.bool_], Imputer]]:
    """Patients, and an imputer that has seen neither them nor anyone held out."""
    from histoscribe.imputer import Imputer

    told = Progress(lambda step: progress.report(step.message))
    part = np.full(len(test), -1)
    part[~test] = np.arange(int((~test).sum())) % 2
    return [
        (
            part == own,
            Imputer(factors=100, steps=0).fit(
                replace(bulk, table=bulk.table[~test & (part != own)].copy()), progress=told
            ),
        )
        for own in np.unique(part)
    ]


def _restored(
    bulk: BulkTable, panel: NDArray[np.int64], imputers: list[tuple[NDArray[np.bool_], Imputer]]
) -> Values:
    """All genes of all patients from those of the panel."""
    result = np.zeros(bulk.table.shape)
    for own, imputer in imputers:
        found = imputer.restore(replace(bulk, table=bulk.table[own][:, panel].copy()))
        known = [gene for gene in bulk.table.var_names if gene in found.var_names]
        at = bulk.table.var_names.get_indexer(known)
        result[np.ix_(own, at)] = found[:, known].layers["restored"]
    return result


def _components(values: Values, train: NDArray[np.bool_]) -> Values:
    from sklearn.decomposition import PCA

    mean, sd = values[train].mean(0), values[train].std(0) + 1e-9
    model = PCA(min(_AXES, values.shape[1]), random_state=0).fit((values[train] - mean) / sd)
    return np.asarray(model.transform((values - mean) / sd), dtype=np.float64)


def _risks(
    features: Values, time: Values, event: Values, train: NDArray[np.bool_], asked: NDArray[np.bool_]
) -> Values:
    """Log risks, standardised within the fold; the penalty with the best inner concordance."""
    from lifelines.utils import concordance_index

    mean, sd = features[train].mean(0), features[train].std(0) + 1e-9
    x = (features - mean) / sd
    rows = np.flatnonzero(train)
    inner = np.random.default_rng(0).permutation(len(rows)) % _INNER
    scores = {}
    for penalty in _PENALTIES:
        risks = np.zeros(len(rows))
        for part in range(_INNER):
            learn, tell = rows[inner != part], rows[inner == part]
            risks[inner == part] = _cox(x[learn], time[learn], event[learn], x[tell], penalty)
        scores[penalty] = concordance_index(time[rows], -risks, event[rows])
    best = max(scores, key=lambda penalty: scores[penalty])
    risks = _cox(x[rows], time[rows], event[rows], x[asked], best)
    return np.asarray((risks - risks.mean()) / (risks.std() + 1e-9), dtype=np.float64)


def _cox(x: Values, time: Values, event: Values, asked: Values, penalty: float) -> Values:
    """Log risks by ridge Cox regression; where it does not converge, the penalty is raised tenfold."""
    import pandas as pd
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError

    frame = pd.DataFrame(x).assign(time=time, event=event)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for strength in (penalty, 10 * penalty, 100 * penalty):
            try:
                model = CoxPHFitter(penalizer=strength).fit(frame, "time", "event")
            except ConvergenceError:
                continue
            return np.asarray(model.predict_log_partial_hazard(pd.DataFrame(asked)), dtype=np.float64)
    return np.zeros(len(asked))


def _folds(kinds: NDArray[np.str_], event: Values, seed: int) -> NDArray[np.int64]:
    """Fold of each patient: classes and events spread evenly."""
    from sklearn.model_selection import StratifiedKFold

    strata = np.char.add(kinds.astype(str), (event > 0).astype(int).astype(str))
    folds = np.zeros(len(kinds), dtype=np.int64)
    for number, (_, test) in enumerate(
        StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(strata, strata)
    ):
        folds[test] = number
    return folds
