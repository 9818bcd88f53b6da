"""What programmes are: their genes and sets, how steady they are, and the hazard that goes with each."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from histoscribe.arrays import Numbers, Wide
from histoscribe.genes import GeneSets, shipped_gene_sets
from histoscribe.genes.sets import enrich, present
from histoscribe.programmes.choosing import Trial
from histoscribe.programmes.cox import Survival
from histoscribe.programmes.factors import Factors, matched

if TYPE_CHECKING:
    from anndata import AnnData

_TOP, _LEAST_SET = 50, 5
_TINY = 1e-9
_OF_LIFELINES = ("exp(coef)", "exp(coef) lower 95%", "exp(coef) upper 95%", "p")


def shares(activities: Wide) -> Wide:
    """Each programme's share of a sample's activity, rows sum up to 1 (0 where nothing is active)."""
    total = np.maximum(activities.sum(1, keepdims=True), _TINY)
    return np.asarray(activities / total, dtype=np.float64)


def aligned(trial: Trial, loadings: Wide, folds: Numbers) -> tuple[Wide, Wide]:
    """Held-out activities in the order of `loadings`, and how alike a programme is to those of the folds.

    `folds`: of each sample. Shapes (samples, programmes) and (programmes,).
    """
    activities, alike = np.empty_like(trial.activities), []
    for fold, own in enumerate(trial.loadings):
        partner, cosine = matched(loadings, own)
        activities[folds == fold] = trial.activities[folds == fold][:, partner]
        alike.append(cosine)
    return activities, np.mean(alike, axis=0)


def describe(
    found: Factors, genes: tuple[str, ...], over_seeds: Wide, over_folds: Wide, sets: GeneSets | None
) -> list[dict[str, Any]]:
    """One row a programme; see `Programmes.table`."""
    known = present(sets or shipped_gene_sets(), genes, least=_LEAST_SET)
    special = found.loadings**2 / np.maximum(found.loadings.sum(0), _TINY)
    share = shares(found.activities).mean(0)
    rows: list[dict[str, Any]] = []
    tests = []
    for place, own in enumerate(special):
        top = [genes[gene] for gene in np.argsort(-own, kind="stable")[: min(_TOP, len(genes) // 4)]]
        steady = {"over_seeds": float(over_seeds[place]), "over_folds": float(over_folds[place])}
        row: dict[str, Any] = {"programme": f"programme {place + 1}", "share": float(share[place])}
        rows.append(row | steady | {"genes": ", ".join(top[:10])})
        if known:
            tests.append(enrich(top, known, genes))
    if known:
        p_values = np.array([test["p"] for test in tests])
        adjusted = false_discovery_control(p_values, axis=None).reshape(p_values.shape)
        for row, test, p in zip(rows, tests, adjusted, strict=True):
            best = int(np.argmin(p))
            row |= {name: str(test[own][best]) for name, own in (("gene_set", "set"), ("overlap", "overlap"))}
            row["p"] = float(p[best])
    return rows


def hazards(activities: Wide, survival: Survival, patients: Sequence[str]) -> list[dict[str, float]]:
    """Cox's hazard ratio of each programme alone, per standard deviation, with its 95 % interval.

    Where patients have several samples, these are one witness: the variance is that of Lin and Wei (*JASA*
    1989), summed within patients.
    """
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError

    known, found = survival.known, []
    owner = "patient" if len(set(patients)) < len(patients) else None
    for column in activities.T:
        z = (column - column[known].mean()) / (column[known].std() + _TINY)
        frame = pd.DataFrame({"z": z, "time": survival.time, "event": survival.event})
        frame = (frame.assign(patient=patients) if owner else frame)[known]
        told = [float("nan")] * 4
        with suppress(ConvergenceError), warnings.catch_warnings(action="ignore"):
            line = CoxPHFitter().fit(frame, "time", "event", cluster_col=owner).summary.loc["z"]
            told = [float(line[name]) for name in _OF_LIFELINES]
        found.append(dict(zip(("hazard", "low", "high", "hazard_p"), told, strict=True)))
    return found


def share_by_region(activities: AnnData, labels: NDArray[np.str_]) -> pd.DataFrame:
    """Mean share of each programme in each class of spots, and means of its bounds.

    `activities`: from `Programmes.project`; `labels` (spots,): empty outside all regions. Columns `region`,
    `programme`, `share`, `low`, `high`.
    """
    names = np.where(labels == "", "outside", labels)
    frames = {
        name: pd.DataFrame(activities.layers[name], columns=activities.var_names)
        for name in ("share", "low", "high")
    }
    means = {name: frame.groupby(names).mean().stack() for name, frame in frames.items()}
    return pd.DataFrame(means).rename_axis(["region", "programme"]).reset_index()
