"""Scores of gene sets, and how far a spot already lies along primary → metastasis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoscribe.bulk.scales import log_cp10k
from histoscribe.bulk.table import dense
from histoscribe.errors import TableError
from histoscribe.genes.sets import present
from histoscribe.record import record_of

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from histoscribe.section import Section

_STRONGEST = 200
_LEAST_GENES = 10
_LEAST_SET = 3


def gene_set_changes(table: AnnData, sets: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """How the sets change against the primary in what `Generator.generate` gave, strongest first.

    Columns `change` (mean log2 change of its genes), `low`, `high` (2.5 and 97.5 % of the generated samples),
    `genes` (how many of the model's are in it).
    """
    import pandas as pd

    kept = present(sets, tuple(map(str, table.var_names)), least=_LEAST_SET)
    places = {gene: place for place, gene in enumerate(table.var_names)}
    change = np.asarray(table.X) - table.var["primary"].to_numpy()
    rows = {}
    for name, genes in kept.items():
        per_sample = change[:, [places[gene] for gene in genes]].mean(1)
        low, high = np.quantile(per_sample, [0.025, 0.975])
        rows[name] = {"change": per_sample.mean(), "low": low, "high": high, "genes": len(genes)}
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["change", "low", "high", "genes"])
    return frame.reindex(frame["change"].abs().sort_values(ascending=False).index)


def spot_scores(
    section: Section, table: AnnData, primary: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """How far each spot lies along primary → metastasis, by what `Generator.generate` gave.

    The 200 genes that change most, of those the section has, in log1p of counts per 10,000 where they were
    counted. A spot's difference from the mean of the primary's spots (`primary`, shape (spots,); all by
    default) is projected on that change: 0 where it is as they are on average, 1 where it has gone the whole
    way, NaN without any count. Raises `TableError` if section and profiles share fewer than ten genes.
    """
    shared = [gene for gene in table.var_names if gene in section.table.var_names]
    if len(shared) < _LEAST_GENES:
        raise TableError(
            f"only {len(shared)} genes are both in the section and in the generated profiles",
            where=section.name, remedy="use a model whose genes were measured here",
        )  # fmt: skip
    change = table.var.loc[shared, "change"].to_numpy() * np.log(2)
    chosen = np.argsort(-np.abs(change))[:_STRONGEST]
    names, along = [shared[place] for place in chosen], change[chosen]
    values: NDArray[np.float64]
    columns = section.table.var_names.get_indexer(names)
    if record_of(section.table).measured:
        values = dense(log_cp10k(section.table.X)[:, columns]).astype(np.float64)
        values[np.asarray(section.table.X.sum(axis=1)).ravel() == 0] = np.nan
    else:
        values = dense(section.table.X[:, columns]).astype(np.float64)
    start = np.nanmean(values if primary is None else values[primary], axis=0)
    score = np.nan_to_num(values - start, nan=0.0) @ along / max(float(along @ along), 1e-9)
    score[np.isnan(values).all(1)] = np.nan
    return np.asarray(score, dtype=np.float32)
