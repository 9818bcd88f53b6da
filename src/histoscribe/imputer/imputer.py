"""The user's object: learn from a table, restore what another one lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from histoscribe.arrays import Floats
from histoscribe.bulk import SCALES, BulkTable, bulk_of
from histoscribe.bulk.table import Table
from histoscribe.errors import ModelError
from histoscribe.features.device import one_thread, resolve_device
from histoscribe.imputer.gates import held_out_scores
from histoscribe.imputer.hiding import hidden_error
from histoscribe.imputer.restorer import HALVED, ImputerState, explain, rebuild, summarise
from histoscribe.imputer.result import restore_table
from histoscribe.imputer.training.fitting import ImputerSettings, fit_restorer
from histoscribe.imputer.training.table import extend, prepare
from histoscribe.imputer.units import MIN_SAMPLES, UnitTable, standardise
from histoscribe.models import Card, Estimator
from histoscribe.models.estimator import settings_from
from histoscribe.models.standard import halve, to_tensors
from histoscribe.progress import Progress

_CLEARLY = 0.9


class Imputer(Estimator[ImputerSettings, ImputerState]):
    """Restores genes that were not measured.

    A conditional Gaussian, a memory of training samples and a masked encoder–decoder, weighed by what
    helped on patients held out inside the training table.

    Parameters
    ----------
    factors, references, steps, devices
        As `ImputerSettings` says.
    seed : int
        The same seed gives the same model on the same CPU.
    device : str
        Where the encoder–decoder trains: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`. Restoring takes the CPU.
    licence : str
        Under which terms the trained weights may be used; goes into the card.

    Raises
    ------
    SettingError
        If a setting is out of range.
    """

    kind = "imputer"

    def __init__(
        self,
        *,
        factors: int | None = None,
        references: int = 2048,
        steps: int = 600,
        devices: int = 1,
        seed: int = 0,
        device: str = "cpu",
        licence: str = "not stated",
    ) -> None:
        settings = ImputerSettings(factors, references, steps, devices)
        super().__init__(settings, seed=seed, device=device, licence=licence)

    def fit(
        self,
        table: Table,
        *,
        patients: Sequence[str] | str | None = None,
        start: Imputer | None = None,
        checkpoint: str | PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> Imputer:
        """Learn from a table of samples or spots.

        Parameters
        ----------
        table : AnnData, BulkTable or Section
            Samples by genes; NaN where not measured.
        patients : sequence of str or str, optional
            The patient of each sample, or the name of a column of `obs`; by default the column `patient`
            where there is one, else each sample stands for itself. A patient is never split between
            learning and checking.
        start : Imputer, optional
            An earlier model, which stays as it is. The samples that it remembers are learned from beside the
            new ones. How much they count, or whether at all, is chosen, as everything else, on held-out
            patients of the new table, whose scale and means this model takes. It knows the genes of both.
        checkpoint : path, optional
            A folder that keeps the state of the training; called again with the same table and settings, it
            goes on from there.

        Raises
        ------
        ModelError
            If `start` has not learned anything yet.
        TableError
            If there is too little to learn from, values make no sense, or no gene is shared with `start`.
        """
        device = resolve_device(self.device)
        if start is None:
            learned = prepare(bulk_of(table), patients)
        else:
            learned = extend(bulk_of(table), patients, start.fitted, start.card)
        place, told = None if checkpoint is None else Path(checkpoint), progress or Progress()
        restorer, rehearsals, choice = fit_restorer(
            learned, self.settings, seed=self.seed, device=device, progress=told, checkpoint=place
        )
        halve(restorer, HALVED)
        standard = learned.standard
        settings = asdict(self.settings) | {"seed": self.seed, "device": self.device, "scale": standard.scale}
        settings |= {"notes": list(learned.notes), "aliases": learned.aliases, "own": learned.own}
        settings |= {"noise_inflation": choice.inflation, "weight_of_old": choice.old}
        settings["factors"] = restorer.start.loadings.shape[1]
        settings["references"] = len(restorer.memory.samples)
        scores = held_out_scores(rehearsals, restorer.blend, standard.genes)
        card = self._written(
            "gexbert",
            standard.genes,
            SCALES[standard.scale],
            "all genes of the training table that vary",
            training=learned.training,
            settings=settings,
            held_out=scores,
        )
        return self._learned(ImputerState(restorer, standard), card)

    def fine_tune(
        self,
        table: Table,
        *,
        patients: Sequence[str] | str | None = None,
        checkpoint: str | PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> Imputer:
        """A new imputer, of default settings and this one's seed, that goes on from this one; see `fit`."""
        fresh = Imputer(seed=self.seed, licence=self.licence)
        return fresh.fit(table, patients=patients, start=self, checkpoint=checkpoint, progress=progress)

    @one_thread()
    def restore(
        self, table: Table, *, adapt: bool | None = None, progress: Progress | None = None
    ) -> AnnData:
        """Restore what a table lacks, by the model and the table's own samples, weighed by hiding its values.

        Parameters
        ----------
        table : AnnData, BulkTable or Section
            Any of the model's genes, in any order; NaN where not measured. Genes that the model does not
            know are left as they are.
        adapt : bool, optional
            Standardise by the table's own means, as another platform needs; by default where the scales
            cannot be brought together, or hidden genes come back clearly better (20 samples or more).

        Returns
        -------
        AnnData
            The table's genes, then those it lacked. `X` (samples, genes) float32 holds what was measured (NaN
            elsewhere) and `layers` hold `restored` (measured values, and expected ones where there were
            none), `mask` (bool, True where restored) and `sd` (standard deviation of restored values, 0 where
            measured); `mean ± 1.645 sd` covers about 90 % of values hidden in this table. `var` holds r,
            interval and verdict of the genes hidden here (`held_out_r`, `held_out_low`, `held_out_high`,
            `verdict`), and what held-out training patients reached, which says nothing of this table
            (`training_r`). Fewer than 8 samples are told by the model alone, unchecked. Samples without
            any value stay NaN.

        Raises
        ------
        TableError
            If no gene is shared or values make no sense.
        """
        bulk, units = self.units_of(bulk_of(table), adapt)
        return restore_table(bulk, units, self.fitted.restorer, self.card, progress or Progress())

    def embed(self, table: Table, *, adapt: bool | None = None) -> Floats:
        """The summary of each sample, shape (samples, factors); NaN for samples without any value."""
        _, units = self.units_of(bulk_of(table), adapt)
        return summarise(self.fitted.restorer, units.values)

    @one_thread()
    def attention(
        self, table: Table, gene: str, *, adapt: bool | None = None, progress: Progress | None = None
    ) -> pd.DataFrame:
        """Which observed genes carried a restored one.

        Parameters
        ----------
        gene : str
            A gene of the model; where it was observed, it is hidden first.
        adapt : bool, optional
            As for `restore`.

        Returns
        -------
        DataFrame, samples × observed genes
            Standardised value times the derivative of the restored value with respect to it: positive where
            the observed value raised the restored one. Genes in falling order of their mean weight.

        Raises
        ------
        ModelError
            If the model does not know the gene.
        """
        bulk, units = self.units_of(bulk_of(table), adapt)
        genes = self.genes
        if gene not in genes:
            remedy = f"choose one of its {len(genes):,}"
            raise ModelError(f"the model does not know the gene {gene}", remedy=remedy)
        found = explain(self.fitted.restorer, units.values, genes.index(gene), genes, progress or Progress())
        return found.set_axis(bulk.table.obs_names)

    def units_of(self, bulk: BulkTable, adapt: bool | None) -> tuple[BulkTable, UnitTable]:
        """The table and the same in the model's units; whose means to take is told by hiding."""
        aliases = self.card.settings.get("aliases", {})
        units = standardise(bulk, self.fitted.standard, aliases, adapt=adapt)
        if adapt is None and not units.adapted and bulk.table.n_obs >= MIN_SAMPLES:
            own = standardise(bulk, self.fitted.standard, aliases, adapt=True)
            errors = [hidden_error(self.fitted.restorer, some.values) for some in (own, units)]
            if errors[0] < _CLEARLY * errors[1]:
                return bulk, own
        return bulk, units

    def _to_tensors(self) -> dict[str, NDArray[Any]]:
        return to_tensors(self.fitted.restorer, self.fitted.standard, HALVED)

    @classmethod
    def _from_tensors(
        cls, tensors: Mapping[str, NDArray[Any]], card: Card, where: Path
    ) -> tuple[ImputerSettings, ImputerState]:
        settings = settings_from(ImputerSettings, card, where)
        return settings, rebuild(tensors, card.genes, card.settings, where)
