"""The user's object: learn from a table, restore what another one lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoscribe.bulk import SCALES, BulkTable
from histoscribe.bulk.table import bulk_of
from histoscribe.errors import ModelError
from histoscribe.imputer.gates import held_out_scores
from histoscribe.imputer.restorer import HALVED, Restorer, explain, rebuild, restore_all, summarise
from histoscribe.imputer.result import build_result
from histoscribe.imputer.settings import ImputerSettings
from histoscribe.imputer.training.fitting import fit_restorer
from histoscribe.imputer.training.table import ModelMemory, TrainingTable, extend, prepare
from histoscribe.imputer.units import UnitTable, standardise
from histoscribe.models import Card, load_model, save_model, weights_hash
from histoscribe.models.standard import Standard, halve, to_tensors
from histoscribe.progress import Progress

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from histoscribe.bulk.table import Table


class Imputer:
    """Restores genes that were not measured.

    A conditional Gaussian, a memory of training samples and a masked encoder–decoder, weighed by what
    helped on patients held out inside the training table.

    Parameters
    ----------
    factors, references, steps, seed, device, devices
        As `ImputerSettings` says.
    """

    def __init__(
        self,
        *,
        factors: int | None = None,
        references: int = 2048,
        steps: int = 600,
        seed: int = 0,
        device: str = "cpu",
        devices: int = 1,
    ) -> None:
        self.settings = ImputerSettings(factors, references, steps, seed, device, devices)
        self._model: tuple[Restorer, Standard, Card] | None = None

    def fit(
        self,
        table: Table,
        *,
        patients: Sequence[str] | str | None = None,
        licence: str = "of the training data",
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
        licence : str
            Under which terms the model may be used.
        checkpoint : path, optional
            A folder that keeps the state of the training; called again with the same table and settings, it
            goes on from there.
        progress : Progress, optional

        Raises
        ------
        TableError
            If there is too little to learn from, or values make no sense.
        """
        return self._learn(prepare(bulk_of(table), patients), licence, checkpoint, progress)

    def fine_tune(
        self,
        table: Table,
        *,
        patients: Sequence[str] | str | None = None,
        settings: ImputerSettings | None = None,
        licence: str = "of the training data",
        checkpoint: str | PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> Imputer:
        """Go on learning from a table of one's own; this model stays as it is.

        The samples that the model remembers are learned from beside the new ones. How much they count, or
        whether at all, is chosen, as everything else, on held-out patients of the new table, whose scale
        and means the new model takes. It knows the genes of both.

        Parameters
        ----------
        table, patients, licence, checkpoint, progress
            As for `fit`.
        settings : ImputerSettings, optional
            Of the new model; this one's by default (for a loaded one, the defaults with its seed).

        Returns
        -------
        Imputer
            A new one.

        Raises
        ------
        ModelError
            If this model has not learned anything yet.
        TableError
            If there is too little to learn from, or no gene is shared.
        """
        restorer, standard, card = self._fitted()
        known = ModelMemory(restorer.memory.samples.numpy(), standard, card)
        fresh = Imputer(**asdict(settings or self.settings))
        return fresh._learn(extend(bulk_of(table), patients, known), licence, checkpoint, progress)

    def _learn(
        self,
        table: TrainingTable,
        licence: str,
        checkpoint: str | PathLike[str] | None,
        progress: Progress | None,
    ) -> Imputer:
        restorer, rehearsals, choice = fit_restorer(
            table, self.settings, progress or Progress(),
            checkpoint=None if checkpoint is None else Path(checkpoint),
        )  # fmt: skip
        halve(restorer, HALVED)
        standard = table.standard
        settings = {
            **asdict(self.settings), "scale": standard.scale, "notes": list(table.notes),
            "aliases": table.aliases, "noise_inflation": choice.inflation, "weight_of_old": choice.old,
            "own": table.own,
            "factors": restorer.start.loadings.shape[1], "references": len(restorer.memory.samples),
        }  # fmt: skip
        card = Card(
            kind="imputer", variant="gexbert", genes=standard.genes, target=SCALES[standard.scale],
            panel_rule="all genes of the training table that vary", training=table.training,
            licence=licence, seed=self.settings.seed, settings=settings,
            held_out=held_out_scores(rehearsals, restorer.blend, standard.genes),
        )  # fmt: skip
        card = replace(card, sha256=weights_hash(to_tensors(restorer, standard, HALVED)))
        self._model = restorer, standard, card
        return self

    @property
    def card(self) -> Card:
        """What the model is, what it learned from, and how well each gene is restored."""
        return self._fitted()[2]

    @property
    def genes(self) -> tuple[str, ...]:
        """Genes that can be restored."""
        return self._fitted()[1].genes

    def restore(
        self, table: Table, *, adapt: bool | None = None, progress: Progress | None = None
    ) -> AnnData:
        """Restore what a table lacks.

        Parameters
        ----------
        table : AnnData, BulkTable or Section
            Any of the model's genes, in any order; NaN where not measured. Genes that the model does not
            know are left as they are.
        adapt : bool, optional
            Standardise by the table's own means, as another platform needs; by default only where the
            scales cannot be brought together.
        progress : Progress, optional

        Returns
        -------
        AnnData
            The table's genes, then those it lacked. `X` holds what was measured (NaN elsewhere) and
            `layers` hold `restored` (measured values, and expected ones where there were none), `mask`
            (True where restored) and `sd` (standard deviation of restored values, 0 where measured);
            `mean ± 1.645 sd` covers about 90 %. `var` says how well a gene is restored on held-out
            patients. Samples without any value stay NaN.

        Raises
        ------
        TableError
            If no gene is shared or values make no sense.
        """
        bulk, units = self._units(table, adapt)
        restorer, _, card = self._fitted()
        means, spreads = restore_all(restorer, units.values, progress or Progress())
        return build_result(bulk, units, means, spreads, card)

    def embed(self, table: Table, *, adapt: bool | None = None) -> NDArray[np.float32]:
        """The summary of each sample, shape (samples, factors); NaN for samples without any value."""
        _, units = self._units(table, adapt)
        return summarise(self._fitted()[0], units.values)

    def attention(
        self, table: Table, gene: str, *, adapt: bool | None = None, progress: Progress | None = None
    ) -> pd.DataFrame:
        """Which observed genes carried a restored one.

        Parameters
        ----------
        table : AnnData, BulkTable or Section
        gene : str
            A gene of the model; where it was observed, it is hidden first.

        Returns
        -------
        DataFrame, samples × observed genes
            Standardised value times the derivative of the restored value with respect to it: positive where
            the observed value raised the restored one. Genes in falling order of their mean weight.
        """
        bulk, units = self._units(table, adapt)
        genes = self.genes
        if gene not in genes:
            raise ModelError(
                f"the model does not know the gene {gene}", remedy=f"choose one of its {len(genes):,}"
            )
        return explain(
            self._fitted()[0], units.values, genes.index(gene), genes, bulk.table.obs_names,
            progress or Progress(),
        )  # fmt: skip

    def save(self, folder: str | PathLike[str]) -> None:
        """Write the model's folder (`weights.safetensors`, `card.json`)."""
        restorer, standard, card = self._fitted()
        self._model = restorer, standard, save_model(folder, to_tensors(restorer, standard, HALVED), card)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Imputer:
        """Read a model's folder.

        Raises
        ------
        ModelError
            If it is missing, damaged or no imputer.
        """
        tensors, card = load_model(folder, kind="imputer")
        imputer = cls(seed=card.seed)
        imputer._model = *rebuild(tensors, card.genes, card.settings, str(folder)), card
        return imputer

    def _units(self, table: Table, adapt: bool | None) -> tuple[BulkTable, UnitTable]:
        """The table, checked, and the same in the model's units."""
        _, standard, card = self._fitted()
        bulk = bulk_of(table)
        return bulk, standardise(bulk, standard, card.settings.get("aliases", {}), adapt=adapt)

    def _fitted(self) -> tuple[Restorer, Standard, Card]:
        if self._model is None:
            raise ModelError("this imputer has not learned anything yet", remedy="call fit or load first")
        return self._model
