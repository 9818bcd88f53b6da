"""Restoring genes as the viewer asks for it: a frozen request, plain calls, a table that comes back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pandas as pd

from histoscribe.bulk import BulkTable
from histoscribe.bulk.table import bulk_of
from histoscribe.errors import SettingError
from histoscribe.genes import match_genes
from histoscribe.progress import Progress
from histoscribe.record import record_of
from histoscribe.section import Section, write_section
from histoscribe.widgets.jobs.loading import load_libraries
from histoscribe.widgets.parts.fields import is_section
from histoscribe.widgets.parts.gene_list import Reliability

if TYPE_CHECKING:
    from anndata import AnnData

    from histoscribe.imputer import Imputer

    Source = BulkTable | Section


_HERE = "between measured here and restored, where it was hidden"
TABLES = "Tables (*.h5ad *.csv *.tsv)"


@dataclass(frozen=True, eq=False)
class ImputeRequest:
    """What to restore, and with what."""

    source: Source
    model: Path | None
    """A model's folder; None to learn from `teacher`."""
    teacher: Source | None = None
    """What to learn from where no model is given."""
    tune: bool = False
    """Tune the model on the source first."""

    def wants_the_imputer_of(self, other: ImputeRequest) -> bool:
        """Whether the imputer of one request serves the other."""
        tuned_alike = self.tune == other.tune and (not self.tune or self.source is other.source)
        return self.model == other.model and self.teacher is other.teacher and tuned_alike


@dataclass(frozen=True, eq=False)
class Overview:
    """What a model can do for a table."""

    imputer: Imputer
    """Loaded, learned or tuned."""
    missing: list[str]
    """Genes that the table lacks and the model restores; best restored in training first."""
    checked: dict[str, Reliability]
    """Genes of the table that the model knows, with their score where they are hidden here."""

    @property
    def words(self) -> str:
        """The overview in a sentence or two."""
        said = (
            f"{len(self.checked):,} genes are shared with the model, {len(self.missing):,} can be restored. "
        )
        if self.checked:
            middle = median(score.r for score in self.checked.values())
            said += f"Hidden here and restored, the shared ones reach a median r of {middle:.2f}. "
            said += "Expect no more of the missing ones, which cannot be checked here."
        return said.strip()


@dataclass(frozen=True, eq=False)
class Restored:
    """What came back."""

    request: ImputeRequest
    imputer: Imputer
    table: AnnData
    """As `Imputer.restore` describes."""
    section: Section | None
    """The same as a section, where the source was one."""

    @cached_property
    def genes(self) -> list[str]:
        """What was restored, the most reliable first."""
        var = self.table.var
        order = {"by": ["held_out_r", "training_r"], "ascending": False, "na_position": "last"}
        return [str(gene) for gene in var[var["restored"] > 0].sort_values(**order).index]

    @property
    def scores(self) -> dict[str, Reliability]:
        """Their scores where values were hidden in this table; none of genes that it lacks."""
        found = self.table.var.loc[self.genes, ["held_out_r", "held_out_low", "held_out_high"]].dropna()
        return {str(gene): Reliability(r, low, high, _HERE) for gene, r, low, high in found.itertuples()}

    @property
    def words(self) -> str:
        """What came back, in two sentences."""
        own = record_of(self.table)
        said = f"{len(self.genes):,} genes restored from {own.overlap:,} that are shared with the model. "
        if own.hidden_r is not None and own.hidden_cover is not None:
            said += (
                f"Values hidden here came back with a median r of {own.hidden_r:.2f}, {own.hidden_cover:.0%} "
            )
            said += "of them in their 90 % interval. "
        return f"{said}Values are {own.target}."


def imputer_for(request: ImputeRequest, progress: Progress) -> Imputer:
    """Load the model or learn one; `HistoscribeError` if it is unusable, or there is too little to learn."""
    if request.model is None and request.teacher is None:
        raise SettingError("there is no model", remedy="choose one, or a layer to learn from")
    progress.report("loading the model")
    load_libraries("torch", "histoscribe.imputer.imputer")
    from histoscribe.imputer import Imputer

    if request.model is None:
        return Imputer(steps=0).fit(request.teacher, progress=progress)
    imputer = Imputer.load(request.model)
    return imputer.fine_tune(request.source, progress=progress) if request.tune else imputer


def look(request: ImputeRequest, imputer: Imputer | None, progress: Progress) -> Overview:
    """Say which genes are missing, which can be restored, and how well."""
    from histoscribe.imputer.checking import hidden_scores

    imputer = imputer or imputer_for(request, progress)
    bulk = bulk_of(request.source)
    found = match_genes(imputer.genes, list(bulk.table.var_names), imputer.card.settings.get("aliases", {}))
    scores = hidden_scores(imputer, bulk, progress=progress)
    checked = {
        str(gene): Reliability(r, low, high, _HERE)
        for gene, (r, low, high, _) in zip(scores.index, scores.to_numpy(), strict=True)
    }
    held = imputer.card.held_out
    missing = [gene for gene in imputer.genes if gene not in found]
    return Overview(imputer, sorted(missing, key=lambda gene: -held.get(gene, {}).get("r", -1)), checked)


def restore(request: ImputeRequest, imputer: Imputer | None, progress: Progress) -> Restored:
    """Restore what the source lacks; runs on any thread."""
    from histoscribe.imputer.result import as_section

    imputer = imputer or imputer_for(request, progress)
    table = imputer.restore(request.source, progress=progress)
    if not table.layers["mask"].any():
        problem = "nothing is missing here that the model knows"
        raise SettingError(problem, where=request.source.name, remedy="choose a model that knows more genes")
    table.obsm["summary"] = imputer.embed(request.source)
    section = as_section(request.source, table) if is_section(request.source) else None
    return Restored(request, imputer, table, section)


def carriers(request: tuple[Restored, str], progress: Progress) -> pd.DataFrame:
    """Mean weight of each observed gene in a restored one, over samples, strongest first."""
    restored, gene = request
    weights = restored.imputer.attention(restored.request.source, gene, progress=progress)
    frame = pd.DataFrame({"weight": weights.mean(), "absolute weight": weights.abs().mean()})
    frame.index.name = f"carried {gene}"
    return frame


def write(restored: Restored, path: Path) -> None:
    """Write a restored section as h5ad, or a restored table as h5ad, CSV or TSV."""
    from histoscribe.imputer.result import write_restored

    if path.suffix.lower() not in (".h5ad", ".csv", ".tsv"):
        remedy = "give it that ending"
        raise SettingError("the file must end in .h5ad, .csv or .tsv", where=path, remedy=remedy)
    if restored.section is not None and path.suffix.lower() == ".h5ad":
        write_section(restored.section, path)
    else:
        write_restored(restored.table, path)
