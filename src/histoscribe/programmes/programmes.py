"""The user's object: learn programmes from a table, and find them in another one or on tissue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from histoscribe.arrays import Wide
from histoscribe.bulk import SCALES, BulkTable, bulk_of, convert
from histoscribe.bulk.table import Table, dense
from histoscribe.errors import TableError
from histoscribe.genes import GeneSets, match_genes
from histoscribe.imputer.units import MIN_SAMPLES, groups_of, working_scale
from histoscribe.models import Card, Estimator, TrainingSection, require_shapes
from histoscribe.models.estimator import require_whole, settings_from
from histoscribe.programmes import choosing
from histoscribe.programmes.cox import Risk, survival_in
from histoscribe.programmes.describing import aligned, describe, hazards, shares
from histoscribe.programmes.factors import GeneScaling, factorise, project
from histoscribe.progress import Progress

NUMBERS = (3, 4, 6, 8, 11, 16)
WEIGHTS = (0.003, 0.01)
"""Numbers of programmes, and weights of survival beside none, that are tried."""
FOLDS, SEEDS = 5, 3
_FEWEST_GENES, _FEWEST_EVENTS = 20, 10
_DRAWS, _REACH = 20, 1.6448536
_SCALING = ("low", "spread", "middle")
_RISK = ("mean", "sd", "weights", "middle", "slopes")


@dataclass(frozen=True)
class ProgrammeSettings:
    """What is chosen before programmes are learned."""

    number: int | None = None
    """How many; chosen if None."""
    genes: int = 2000
    """So many genes at most, the most variable ones."""

    def __post_init__(self) -> None:
        require_whole(self, genes=2, **({} if self.number is None else {"number": 2}))


@dataclass(frozen=True, eq=False)
class ProgrammesState:
    """What was learned."""

    loadings: Wide
    """Each programme's share of every gene, shape (programmes, genes)."""
    scaling: GeneScaling
    risk: Risk | None = None
    """Where survival was given."""


class Programmes(Estimator[ProgrammeSettings, ProgrammesState]):
    """Gene programmes: few non-negative factors of a table, and how they go with survival.

    Parameters
    ----------
    number, genes
        As `ProgrammeSettings` says.
    seed : int
        The same seed gives the same programmes on the same CPU.
    licence : str
        Under which terms they may be used; goes into the card.

    Raises
    ------
    SettingError
        If a setting is out of range.
    """

    kind = "programmes"

    def __init__(
        self, *, number: int | None = None, genes: int = 2000, seed: int = 0, licence: str = "not stated"
    ) -> None:
        super().__init__(ProgrammeSettings(number, genes), seed=seed, licence=licence)

    def fit(
        self,
        table: Table,
        *,
        survival: tuple[str, str] | None = None,
        patients: Sequence[str] | str | None = None,
        sets: GeneSets | None = None,
        progress: Progress | None = None,
    ) -> Programmes:
        """Learn from samples or spots.

        Of the numbers that are stable over seeds, the one is taken that does best on held-out patients, by
        the likelihood of genes that were not looked at and, where survival is given, by Harrell's C beside
        it. How much survival has to say, if anything, is chosen by C. Hazards are of activities that
        patients had while they were held out.

        Parameters
        ----------
        table : AnnData, BulkTable or Section
            Samples by genes; NaN where not measured.
        survival : (str, str), optional
            Columns of `obs`: time followed, and 1 where the event came.
        patients : sequence of str or str, optional
            As `Imputer.fit` takes them.
        sets : dict of str to tuple of str, optional
            Gene sets to tell programmes by; the shipped ones by default.

        Raises
        ------
        TableError
            If there is too little to learn from, values make no sense, or too few events came.
        """
        progress, bulk, own = progress or Progress(), bulk_of(table), self.settings
        times = None if survival is None else survival_in(bulk, *survival)
        owners = groups_of(bulk, patients)
        events = 0 if times is None else len(set(np.array(owners)[times.event > 0]))
        if times is not None and events < _FEWEST_EVENTS:
            came = f"{events} events came" if events else "no event came"
            remedy = "choose another end point, or leave survival out"
            problem = f"{came}, and hazards take at least {_FEWEST_EVENTS}"
            raise TableError(problem, where=bulk.name, remedy=remedy)
        (values, genes), scale = _prepare(bulk, own.genes), working_scale(bulk.scale)
        if len(set(owners)) < 2 * FOLDS:
            problem = f"{len(set(owners))} patients are too few for {FOLDS} folds"
            raise TableError(problem, where=bulk.name, remedy=f"give samples of at least {2 * FOLDS}")
        folds = choosing.Folds(values, times, choosing.draw_folds(owners, times, FOLDS, self.seed))
        scaling = GeneScaling.of(values)
        learn = partial(factorise, scaling.apply(values), survival=times)
        tried = [own.number] if own.number else [n for n in NUMBERS if 2 * n <= min(values.shape)]
        trials, runs = [], []
        for place, number in enumerate(tried):
            progress.report(f"trying {number} programmes", place, len(tried) + 1)
            trials.append(choosing.attempt(folds, number, 0.0, self.seed))
            runs.append(choosing.steadiness([learn(number, seed=self.seed + one) for one in range(SEEDS)]))
        chosen = choosing.choose_number(trials, [float(alike.mean()) for _, alike in runs])
        (best, alike), trial = runs[chosen], trials[chosen]
        if times is not None:
            progress.report("asking survival", len(tried), len(tried) + 1)
            heard = [trial, *(choosing.attempt(folds, trial.number, weight, self.seed) for weight in WEIGHTS)]
            trials, trial = [*trials, *heard[1:]], choosing.choose_weight(heard)
            if trial.weight:
                again = partial(learn, trial.number, weight=trial.weight)
                best, alike = choosing.steadiness([again(seed=self.seed + one) for one in range(SEEDS)])
        risk = None
        if times is not None:
            logs, names = _logs(dense(bulk.table.X), bulk), np.asarray(bulk.table.var_names, dtype=str)
            risk = Risk.of(logs, names, project(scaling.apply(values), best.loadings), times)
        activities, over_folds = aligned(trial, best.loadings, folds.number)
        rows = describe(best, genes, alike, over_folds, sets)
        if times is not None:
            rows = [row | found for row, found in zip(rows, hazards(activities, times, owners), strict=True)]
        settings = asdict(own) | {"number": trial.number, "weight": trial.weight, "scale": scale}
        settings |= {"on_tissue": _on_tissue(bulk), "notes": list(bulk.warnings), "programmes": rows}
        settings |= {"events": None if times is None else events}
        settings |= {"tried": [one.told() for one in trials], "risk_genes": list(risk.genes) if risk else []}
        training = tuple(map(TrainingSection, map(str, bulk.table.obs_names), owners))
        variant, target = "CoxNMF" if trial.weight else "NMF", f"activity of programmes, from {SCALES[scale]}"
        rule = "the most variable genes"
        card = self._written(variant, genes, target, rule, training=training, settings=settings)
        return self._learned(ProgrammesState(best.loadings, scaling, risk), card)

    @property
    def table(self) -> pd.DataFrame:
        """One row a programme, the most active first.

        `share` of all activity, `over_seeds` and `over_folds` (cosine to its partners), `genes` (the ten it
        has most for itself), `gene_set` with `overlap` and `p` (hypergeometric, adjusted over all); with
        survival `hazard` (ratio per standard deviation), its 95 % interval `low`, `high`, and `hazard_p`.
        """
        return pd.DataFrame(self.card.settings["programmes"]).set_index("programme")

    def project(self, table: Table, *, adapt: bool | None = None) -> AnnData:
        """Activities of the programmes in samples or spots.

        Parameters
        ----------
        table : AnnData, BulkTable or Section
            Measured, predicted or restored; genes that it lacks do not count, holes are taken as the mean.
        adapt : bool, optional
            Scale genes by the table's own low values and spreads, as another platform needs; by default
            where its scale is another one, or samples were learned from and these are spots.

        Returns
        -------
        AnnData
            Samples by programmes, with the table's `obs` and `obsm`; `obs["log_hazard"]` against the mean of
            those learned from, where these had survival. `X` holds activities,
            `layers["share"]` their shares of all, `["low"]` and `["high"]` bounds of the shares (90 %): genes
            are drawn anew, and values within the bounds of predicted or the deviations of restored ones.

        Raises
        ------
        TableError
            If too few genes are shared, or there are too few samples to adapt to.
        """
        bulk, state, learned = bulk_of(table), self.fitted, str(self.card.settings["scale"])
        found = match_genes(self.genes, [str(name) for name in bulk.table.var_names], {})
        if len(found) < _FEWEST_GENES:
            problem = f"it has {len(found)} of the programmes' {len(self.genes):,} genes, too few"
            remedy = "give the same kind of gene names, or restore its genes first"
            raise TableError(problem, where=bulk.name, remedy=remedy)
        own = np.array([place for place, gene in enumerate(self.genes) if gene in found])
        columns = [found[self.genes[place]] for place in own]
        if adapt is None:
            kind = [working_scale(bulk.scale), _on_tissue(bulk)]
            adapt = kind != [learned, self.card.settings["on_tissue"]]
        raw = _roots(dense(bulk.table.X), bulk)[:, columns]
        if adapt and len(raw) < MIN_SAMPLES:
            problem = f"{len(raw)} samples are too few to take their own scale"
            remedy = f"give at least {MIN_SAMPLES}, or {SCALES[learned]}"
            raise TableError(problem, where=bulk.name, remedy=remedy)
        kept = GeneScaling(*(getattr(state.scaling, name)[own] for name in _SCALING))
        scaling = GeneScaling.of(raw) if adapt else kept
        doubt = _doubt(getattr(table, "table", table), bulk, list(bulk.table.var_names[columns]))
        random, loadings, draws = np.random.default_rng(0), state.loadings[:, own], []
        for _ in range(_DRAWS):
            moved = scaling.apply(raw + doubt * random.normal(size=raw.shape))
            counted = np.bincount(random.integers(0, len(own), len(own)), minlength=len(own)).astype(float)
            draws.append(shares(project(moved, loadings, counted)))
        activities = project(scaling.apply(raw), loadings)
        share, half = shares(activities), _REACH * np.std(draws, axis=0)
        told = {"share": share, "low": np.maximum(share - half, 0), "high": np.minimum(share + half, 1)}
        obs = bulk.table.obs.copy()
        if state.risk is not None and _on_tissue(bulk) == self.card.settings["on_tissue"]:
            there = match_genes(state.risk.genes, [str(name) for name in bulk.table.var_names], {})
            places = np.array([there.get(gene, -1) for gene in state.risk.genes])
            logs = np.where(places < 0, np.nan, _logs(dense(bulk.table.X), bulk)[:, places])
            obs["log_hazard"] = state.risk.tell(logs, activities, adapt=adapt)
        var = pd.DataFrame(index=[str(row["programme"]) for row in self.card.settings["programmes"]])
        layers = {name: values.astype(np.float32) for name, values in told.items()}
        values, obsm = activities.astype(np.float32), dict(bulk.table.obsm)
        uns = {"genes_shared": len(own), "adapted": bool(adapt)}
        return AnnData(values, obs=obs, var=var, uns=uns, obsm=obsm, layers=layers)

    def _to_tensors(self) -> dict[str, NDArray[Any]]:
        state = self.fitted
        named = {"loadings": state.loadings, **{name: getattr(state.scaling, name) for name in _SCALING}}
        if state.risk is not None:
            named |= {f"risk_{name}": getattr(state.risk, name) for name in _RISK}
        return {name: values.astype(np.float32) for name, values in named.items()}

    @classmethod
    def _from_tensors(
        cls, tensors: Mapping[str, NDArray[Any]], card: Card, where: Path
    ) -> tuple[ProgrammeSettings, ProgrammesState]:
        genes, rows = len(card.genes), len(card.settings.get("programmes", ()))
        shapes = {"loadings": (rows, genes), **dict.fromkeys(_SCALING, (genes,))}
        known = tuple(map(str, card.settings.get("risk_genes", ())))
        if known:
            sizes = (len(known),) * 3 + (rows,) * 2
            shapes |= {f"risk_{name}": (size,) for name, size in zip(_RISK, sizes, strict=True)}
        require_shapes(tensors, shapes, where=where)
        single = {name: np.asarray(values, dtype=np.float64) for name, values in tensors.items()}
        scaling = GeneScaling(*(single[name] for name in _SCALING))
        risk = Risk(known, *(single[f"risk_{name}"] for name in _RISK)) if known else None
        state = ProgrammesState(single["loadings"], scaling, risk)
        return settings_from(ProgrammeSettings, card, where), state


def _prepare(bulk: BulkTable, most: int) -> tuple[Wide, tuple[str, ...]]:
    """Roots of abundances of the most variable genes, and their names."""
    values = _roots(dense(bulk.table.X), bulk)
    seen = (~np.isnan(values)).mean(0) > 0.5
    logs = np.log1p(np.where(seen, values, 0))
    spread = np.where(seen, np.nanstd(logs, axis=0), 0)
    kept = np.sort(np.argsort(-spread, kind="stable")[: min(most, int((spread > 1e-6).sum()))])
    if len(kept) < _FEWEST_GENES:
        problem = f"{len(kept)} of its genes vary, and programmes take at least {_FEWEST_GENES}"
        raise TableError(problem, where=bulk.name, remedy="give a table with more samples or genes")
    return values[:, kept], tuple(map(str, bulk.table.var_names[kept]))


def _on_tissue(bulk: BulkTable) -> bool:
    return "spatial" in bulk.table.obsm


def _logs(values: Any, bulk: BulkTable) -> Wide:
    """Logarithms: of counts per 10,000 where the table holds counts, else of the table's own unit."""
    scale = working_scale(bulk.scale)
    if scale == "standardised":
        problem = "its values are centred, and programmes add up from zero"
        raise TableError(problem, where=bulk.name, remedy="give counts, abundances or their logarithms")
    return convert(values, bulk.scale, scale).astype(np.float64)


def _roots(values: Any, bulk: BulkTable) -> Wide:
    """Square roots of abundances, which steady their variance, and add up nearly as abundances do."""
    logs = _logs(values, bulk)
    raised = np.expm1(logs) if working_scale(bulk.scale) == "log1p" else np.exp2(logs) - 1
    return np.sqrt(np.maximum(raised, 0))


def _doubt(table: AnnData, bulk: BulkTable, genes: list[str]) -> Any:
    """How sure the roots are, as deviations, shape (samples, genes); 0 where values were measured."""
    layers = set(table.layers) if set(genes) <= set(table.var_names) else set()
    if "sd" in layers:
        own = table[:, genes]
        low, high = (own.layers["restored"] + sign * np.nan_to_num(own.layers["sd"]) for sign in (-1, 1))
        return (_roots(high, bulk) - _roots(low, bulk)) / 2
    if not {"low", "high"} <= layers:
        return 0.0
    low, high = (_roots(table[:, genes].layers[name], bulk) for name in ("low", "high"))
    return (high - low) / (2 * _REACH)
