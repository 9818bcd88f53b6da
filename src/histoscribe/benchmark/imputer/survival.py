"""Survival from a few random genes: what a method makes of them, by ridge Cox regression in five folds.

Everything is learned on training patients: the imputers, the anchors (genes outside the panel with the
largest Cox score statistic), the penalty (by inner folds). Values of training patients are restored by
imputers that have not seen them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from lifelines.exceptions import ConvergenceError
from lifelines.utils import concordance_index
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from histoscribe.arrays import Mask, Numbers, Wide
from histoscribe.benchmark.imputer.heldout import Figure
from histoscribe.benchmark.methods import Method
from histoscribe.errors import TableError
from histoscribe.imputer.units import groups_of
from histoscribe.programmes.cox import survival_in
from histoscribe.progress import Progress

if TYPE_CHECKING:
    from histoscribe.bulk import BulkTable
    from histoscribe.imputer import Imputer


PANELS = (64, 256)
_FOLDS, _INNER = 5, 3
FEWEST_EVENTS = 2 * _FOLDS
_ANCHORS = 20
_PENALTIES = (0.1, 1.0)
_DRAWS = 300


@dataclass(frozen=True, eq=False)
class Patients:
    """Patients whose survival is known, and their folds, drawn within each class."""

    bulk: BulkTable
    time: Wide
    event: Wide
    """`time` and `event`: shape (patients,)."""
    kinds: NDArray[np.str_]
    """Classes, each looked at for itself, shape (patients,)."""
    number: Numbers
    """The fold of each, shape (patients,)."""
    panels: list[Numbers]
    """Observed genes."""
    progress: Progress

    @cached_property
    def values(self) -> Wide:
        """The table without holes, shape (patients, genes)."""
        return np.nan_to_num(np.asarray(self.bulk.table.X, dtype=np.float64))

    @cached_property
    def folds(self) -> list[SurvivalFold]:
        """All folds; what is learned in one serves every method."""
        return [SurvivalFold(self, self.number == number) for number in range(int(self.number.max()) + 1)]


@dataclass(frozen=True, eq=False)
class SurvivalFold:
    """One fold: `test` patients are held out."""

    patients: Patients
    test: Mask
    _known: dict[bytes, Wide] = field(default_factory=dict)

    def restored(self, panel: Numbers) -> Wide:
        """All genes of all patients from those of the panel, shape (patients, genes)."""
        key = panel.tobytes()
        if key not in self._known:
            bulk = self.patients.bulk
            result = np.zeros(bulk.table.shape)
            for own, imputer in self._imputers:
                found = imputer.restore(replace(bulk, table=bulk.table[own][:, panel].copy()))
                known = [gene for gene in bulk.table.var_names if gene in found.var_names]
                at = bulk.table.var_names.get_indexer(known)
                result[np.ix_(own, at)] = found[:, known].layers["restored"]
            self._known[key] = result
        return self._known[key]

    @cached_property
    def _imputers(self) -> list[tuple[Mask, Imputer]]:
        """Patients, and an imputer that has seen neither them nor anyone held out."""
        from histoscribe.imputer import Imputer

        bulk, progress = self.patients.bulk, self.patients.progress
        told = Progress(lambda step: progress.report(step.message))
        part = np.full(len(self.test), -1)
        part[~self.test] = np.arange(int((~self.test).sum())) % 2
        known = [(part == own, ~self.test & (part != own)) for own in np.unique(part)]
        fresh = partial(Imputer, factors=100, steps=0)
        return [(own, fresh().fit(_only(bulk, seen), progress=told)) for own, seen in known]


@dataclass(frozen=True, eq=False)
class Part:
    """One class in one fold, as a method sees it: `train` and `asked` say which patients are which."""

    fold: SurvivalFold
    train: Mask
    asked: Mask

    @property
    def values(self) -> Wide:
        """Expression without holes, shape (patients, genes)."""
        return self.fold.patients.values

    def anchors(self, panel: Numbers) -> Numbers:
        """Genes outside the panel that survival of the training patients hangs on most."""
        patients = self.fold.patients
        strength = np.abs(
            score_statistics(self.values[self.train], patients.time[self.train], patients.event[self.train])
        )
        strength[panel] = -1
        return np.asarray(np.argsort(-strength)[:_ANCHORS], dtype=np.int64)


def patients_in(bulk: BulkTable, seed: int, progress: Progress) -> Patients:
    """The patients of a table whose survival is known, classes and events spread evenly over the folds.

    `obs` holds `time` and `event`, or `TableError` is raised, and where there are several, `class`.
    """
    survival, obs = survival_in(bulk), bulk.table.obs
    time, event, use = survival.time, survival.event, survival.known
    if bulk.table.n_vars < PANELS[-1]:
        problem = f"it has {bulk.table.n_vars} genes, and survival is asked of up to {PANELS[-1]}"
        raise TableError(problem, where=bulk.name, remedy="give a table with more genes")
    random = np.random.default_rng(seed)
    panels = [np.sort(random.choice(bulk.table.n_vars, count, replace=False)) for count in PANELS]
    bulk, time, event = _only(bulk, use), time[use], event[use]
    owners = pd.Index(groups_of(bulk, None))
    if not owners.is_unique:
        problem = (
            f"{owners[owners.duplicated()][0]} has several samples, and would be learned from and tested on"
        )
        raise TableError(problem, where=bulk.name, remedy="choose one sample a patient, as by --only")
    kinds = bulk.table.obs["class"].astype(str).to_numpy() if "class" in obs else np.full(len(time), "all")
    for kind in np.unique(kinds) if len(kinds) else ["all"]:
        events = int((event[kinds == kind] > 0).sum())
        if events < FEWEST_EVENTS:
            problem = f"{events} events of {kind} are too few, {_FOLDS} folds take at least {FEWEST_EVENTS}"
            remedy = "leave this class out with --only, or do without --class"
            raise TableError(problem, where=bulk.name, remedy=remedy)
    strata = np.char.add(kinds.astype(str), (event > 0).astype(int).astype(str))
    folds = np.zeros(len(kinds), dtype=np.int64)
    parts = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    for number, (_, test) in enumerate(parts.split(strata, strata)):
        folds[test] = number
    return Patients(bulk, time, event, kinds, folds, panels, progress)


def score_survival(patients: Patients, method: Method) -> dict[str, Figure]:
    """Concordance of a method, class by class, with its bootstrap interval over patients.

    The method is called with a `Part` and the places of observed genes, and returns what Cox regression is
    given, shape (patients, columns).
    """
    time, event = patients.time, patients.event
    genes = patients.bulk.table.n_vars
    panels = [np.arange(genes)] if method.settings.get("panel") == "all" else patients.panels
    risks = [np.zeros(len(time)) for _ in panels]
    for fold in patients.folds:
        for kind in np.unique(patients.kinds):
            own = patients.kinds == kind
            part = Part(fold, ~fold.test & own, fold.test & own)
            patients.progress.report(f"Cox regression, {method.name}, {kind}")
            for panel, risk in zip(panels, risks, strict=True):
                risk[part.asked] = _risks(method.learn(part, panel), part)
    return {
        f"C-index {kind}, {len(panel):,} genes": concordance(time[own], event[own], risk[own])
        for panel, risk in zip(panels, risks, strict=True)
        for kind in np.unique(patients.kinds)
        for own in [patients.kinds == kind]
    }


def concordance(time: Wide, event: Wide, risk: Wide) -> Figure:
    """Harrell's C with its bootstrap interval over patients; a higher risk dies sooner."""
    random = np.random.default_rng(0)
    drawn = random.integers(0, len(time), (_DRAWS, len(time)))
    draws = [concordance_index(time[rows], -risk[rows], event[rows]) for rows in drawn]
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(concordance_index(time, -risk, event)), float(low), float(high)


def score_statistics(values: Wide, time: Wide, event: Wide) -> Wide:
    """Cox's score test of each column alone, without tied times corrected, shape (columns,)."""
    order = np.argsort(-time, kind="stable")
    x, died = values[order], event[order] > 0
    at_risk = np.arange(1, len(x) + 1)[:, None]
    mean = np.cumsum(x, 0) / at_risk
    spread = np.cumsum(x**2, 0) / at_risk - mean**2
    total = (x - mean)[died].sum(0)
    return np.asarray(total / np.sqrt(np.maximum(spread[died].sum(0), 1e-9)))


def _risks(features: Wide, part: Part) -> Wide:
    """Log risks, standardised within the fold; the penalty with the best inner concordance."""
    time, event = part.fold.patients.time, part.fold.patients.event
    mean, sd = features[part.train].mean(0), features[part.train].std(0) + 1e-9
    x = (features - mean) / sd
    rows = np.flatnonzero(part.train)
    inner = np.random.default_rng(0).permutation(len(rows)) % _INNER
    scores = {}
    for penalty in _PENALTIES:
        risks = np.zeros(len(rows))
        for held in range(_INNER):
            learn, tell = rows[inner != held], rows[inner == held]
            risks[inner == held] = _cox(x[learn], time[learn], event[learn], x[tell], penalty)
        scores[penalty] = concordance_index(time[rows], -risks, event[rows])
    best = max(scores, key=lambda penalty: scores[penalty])
    risks = _cox(x[rows], time[rows], event[rows], x[part.asked], best)
    return np.asarray((risks - risks.mean()) / (risks.std() + 1e-9), dtype=np.float64)


def _cox(x: Wide, time: Wide, event: Wide, asked: Wide, penalty: float) -> Wide:
    """Log risks by ridge Cox regression; where it does not converge, the penalty is raised tenfold."""
    frame = pd.DataFrame(x).assign(time=time, event=event)
    with warnings.catch_warnings(action="ignore"):
        for strength in (penalty, 10 * penalty, 100 * penalty):
            try:
                model = CoxPHFitter(penalizer=strength).fit(frame, "time", "event")
            except ConvergenceError:
                continue
            return np.asarray(model.predict_log_partial_hazard(pd.DataFrame(asked)), dtype=np.float64)
    return np.zeros(len(asked))


def _only(bulk: BulkTable, rows: Mask) -> BulkTable:
    return replace(bulk, table=bulk.table[rows].copy())
