"""The user's object: learn from a table, restore what another one lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.bulk import SCALES
from histoscribe.errors import ModelError, SettingError
from histoscribe.imputer.fitting import Settings, fit_restorer
from histoscribe.imputer.restorer import Restorer
from histoscribe.imputer.result import build_result
from histoscribe.imputer.scores import held_out_scores
from histoscribe.imputer.standard import Standard, learn_standard, standardise
from histoscribe.imputer.storage import from_tensors, halve, to_tensors
from histoscribe.imputer.tables import aliases_of, bulk_of, groups_of, ordered_rows
from histoscribe.modelstore import Card, TrainingSection, load_model, save_model, weights_hash
from histoscribe.progress import Progress

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from histoscribe.imputer.tables import Table

_CHUNK = 256


class Imputer:
    """Restores genes that were not measured.

    A conditional Gaussian, a memory of training samples and a masked encoder–decoder, weighed by what
    helped on patients held out inside the training table.

    Parameters
    ----------
    factors : int
        Of the Gaussian start.
    references : int
        Training samples that the memory keeps. Their values become part of the model.
    steps : int
        Training steps of the encoder–decoder; 0 leaves it out.
    seed : int
    devices : int
        Processes that Lightning trains on.
    """

    def __init__(
        self, *, factors: int = 200, references: int = 2048, steps: int = 600, seed: int = 0, devices: int = 1
    ) -> None:
        for name, value, least in (
            ("factors", factors, 1), ("references", references, 20), ("steps", steps, 0),
            ("devices", devices, 1),
        ):  # fmt: skip
            if value < least:
                raise SettingError(f"{name} is {value}", remedy=f"use {least} or more")
        self.settings = Settings(factors, references, steps, seed, devices)
        self._model: tuple[Restorer, Standard, Card] | None = None

    def fit(
        self,
        table: Table,
        *,
        patients: Sequence[str] | str | None = None,
        licence: str = "of the training data",
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
        progress : Progress, optional

        Raises
        ------
        TableError
            If there is too little to learn from, or values make no sense.
        """
        bulk = bulk_of(table)
        groups = groups_of(bulk, patients)
        standard, values, kept, notes = learn_standard(bulk)
        groups = [group for group, keep in zip(groups, kept, strict=True) if keep]
        restorer, rehearsals = fit_restorer(values, groups, self.settings, progress or Progress())
        halve(restorer)
        names = [str(name) for name, keep in zip(bulk.table.obs_names, kept, strict=True) if keep]
        settings = {
            **asdict(self.settings), "scale": standard.scale, "notes": notes,
            "aliases": aliases_of(bulk, standard),
            "factors": restorer.start.loadings.shape[1], "references": len(restorer.memory.samples),
        }  # fmt: skip
        card = Card(
            kind="imputer", variant="gexbert", genes=standard.genes, target=SCALES[standard.scale],
            panel_rule="all genes of the training table that vary",
            training=tuple(TrainingSection(name, group) for name, group in zip(names, groups, strict=True)),
            licence=licence, seed=self.settings.seed, settings=settings,
            held_out=held_out_scores(rehearsals, restorer.blend, standard.genes),
        )  # fmt: skip
        card = replace(card, sha256=weights_hash(to_tensors(restorer, standard)))
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
        restorer, standard, card = self._fitted()
        bulk = bulk_of(table)
        units = standardise(bulk, standard, card.settings.get("aliases", {}), adapt=adapt)
        progress = progress or Progress()
        means, spreads = np.full_like(units.values, np.nan), np.full_like(units.values, np.nan)
        known = ~np.isnan(units.values)
        rows = ordered_rows(known)
        offered = torch.from_numpy(known.any(0))
        for at in range(0, len(rows), _CHUNK):
            progress.report("restoring", at, len(rows))
            some = rows[at : at + _CHUNK]
            with torch.inference_mode():
                answer = restorer(
                    torch.from_numpy(np.nan_to_num(units.values[some])),
                    torch.from_numpy(known[some]),
                    offered,
                )
            means[some], spreads[some] = answer.mean.numpy(), answer.spread.numpy()
        progress.report("restoring", len(rows), len(rows))
        return build_result(bulk, units, standard, means, spreads, card)

    def embed(self, table: Table, *, adapt: bool | None = None) -> NDArray[np.float32]:
        """The summary of each sample, shape (samples, factors); NaN for samples without any value."""
        restorer, standard, card = self._fitted()
        units = standardise(bulk_of(table), standard, card.settings.get("aliases", {}), adapt=adapt)
        known = ~np.isnan(units.values)
        result = np.full((len(known), restorer.start.loadings.shape[1]), np.nan, dtype=np.float32)
        rows = ordered_rows(known)
        for at in range(0, len(rows), _CHUNK):
            some = rows[at : at + _CHUNK]
            with torch.inference_mode():
                found = restorer.start.factors(
                    torch.from_numpy(np.nan_to_num(units.values[some])), torch.from_numpy(known[some])
                )
            result[some] = found.numpy()
        return result

    def attention(self, table: Table, gene: str, *, adapt: bool | None = None) -> pd.DataFrame:
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
        import pandas as pd

        restorer, standard, card = self._fitted()
        if gene not in standard.genes:
            raise ModelError(
                f"the model does not know the gene {gene}",
                remedy=f"choose one of its {len(standard.genes):,}",
            )
        bulk = bulk_of(table)
        units = standardise(bulk, standard, card.settings.get("aliases", {}), adapt=adapt)
        asked = standard.genes.index(gene)
        hidden = units.values.copy()
        hidden[:, asked] = np.nan
        known = ~np.isnan(hidden)
        rows = ordered_rows(known)
        told = np.flatnonzero(known.any(0))
        weights = np.full((len(hidden), len(told)), np.nan, dtype=np.float32)
        offered = torch.from_numpy(known.any(0))
        for at in range(0, len(rows), _CHUNK):
            some = rows[at : at + _CHUNK]
            values = torch.from_numpy(np.nan_to_num(hidden[some])).requires_grad_()
            answer = restorer(values, torch.from_numpy(known[some]), offered)
            (slope,) = torch.autograd.grad(answer.mean[:, asked].sum(), values)
            weights[some] = (slope * values).detach().numpy()[:, told]
        frame = pd.DataFrame(weights, index=bulk.table.obs_names, columns=[standard.genes[i] for i in told])
        return frame[frame.abs().mean().sort_values(ascending=False).index]

    def save(self, folder: str | PathLike[str]) -> None:
        """Write the model's folder (`weights.safetensors`, `card.json`)."""
        restorer, standard, card = self._fitted()
        self._model = restorer, standard, save_model(folder, to_tensors(restorer, standard), card)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Imputer:
        """Read a model's folder.

        Raises
        ------
        ModelError
            If it is missing, damaged or no imputer.
        """
        tensors, card = load_model(folder, kind="imputer")
        restorer, standard = from_tensors(tensors, card.genes, card.settings, str(folder))
        imputer = cls(seed=card.seed)
        imputer._model = restorer, standard, card
        return imputer

    def _fitted(self) -> tuple[Restorer, Standard, Card]:
        if self._model is None:
            raise ModelError("this imputer has not learned anything yet", remedy="call fit or load first")
        return self._model
