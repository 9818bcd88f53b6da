"""How well a model restores a table, gene by gene: hide what the table has, and compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoscribe.bulk.table import bulk_of
from histoscribe.errors import TableError
from histoscribe.imputer.hiding import PARTS, hide_genes, names_of
from histoscribe.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

    from histoscribe.bulk.table import Table
    from histoscribe.imputer.imputer import Imputer


def hidden_scores(imputer: Imputer, table: Table, *, progress: Progress | None = None) -> pd.DataFrame:
    """Hide a quarter of the shared genes at a time, restore them, and compare with what was measured.

    Returns a row for each gene of the table that the model knows: Pearson's `r` over samples with its 95 %
    interval (`low`, `high`; Fisher), and `samples`. Genes that are constant or have fewer than 10 measured
    samples are left out. Raises `TableError` if fewer than two genes are shared.
    """
    bulk, units = imputer.units_of(bulk_of(table), None)
    shared = int((units.places >= 0).sum())
    if shared < 2:
        problem = f"{shared} genes are shared with the model, too few to check it by hiding"
        raise TableError(problem, where=bulk.name, remedy="choose a model of the same kind of genes")
    found = hide_genes(imputer.fitted.restorer, units.values, parts=PARTS, progress=progress)
    scores = found.scores(names_of(bulk, units))
    return scores.reindex([gene for gene in bulk.table.var_names if gene in scores.index])
