"""How well a model restores a table, gene by gene: hide what the table has, and compare."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from histoscribe.bulk.table import bulk_of
from histoscribe.errors import TableError
from histoscribe.imputer.gates import fisher_interval
from histoscribe.progress import Progress
from histoscribe.record import record_of

if TYPE_CHECKING:
    import pandas as pd

    from histoscribe.bulk.table import Table
    from histoscribe.imputer.imputer import Imputer

_PARTS = 4
_LEAST = 10


def hidden_scores(
    imputer: Imputer,
    table: Table,
    *,
    adapt: bool | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Hide a quarter of the shared genes at a time, restore them, and compare with what was measured.

    Raises `TableError` if fewer than two genes are shared.

    Parameters
    ----------
    adapt : bool, optional
        As for `Imputer.restore`.
    seed : int
        Which genes are hidden together.

    Returns
    -------
    DataFrame
        A row for each gene of the table that the model knows: Pearson's `r` over samples with its
        95 % interval (`low`, `high`; Fisher), and `samples`. Genes that are constant or have fewer than 10
        measured samples are left out.
    """
    import pandas as pd

    bulk = bulk_of(table)
    progress = progress or Progress()
    progress.report("standardising")
    whole = imputer.restore(bulk, adapt=adapt)
    own = record_of(whole)
    measured = whole[:, : bulk.table.n_vars].X
    names = np.asarray(bulk.table.var_names, dtype=str)
    at = np.flatnonzero(whole.var["in_model"].to_numpy()[: len(names)])
    if len(at) < 2:
        raise TableError(
            f"{len(at)} genes are shared with the model, too few to check it by hiding",
            where=bulk.name,
            remedy="choose a model of the same kind of genes",
        )
    part = np.random.default_rng(seed).permutation(len(at)) % min(_PARTS, len(at))
    rows: dict[str, tuple[float, float, float, int]] = {}
    for number in progress.track(np.unique(part).tolist(), "hiding genes and restoring them", _PARTS):
        hidden = at[part == number]
        shown = measured.copy()
        shown[:, hidden] = np.nan
        holed = bulk.table.copy()
        holed.X = shown
        told = replace(bulk, table=holed, scale=own.scale, warnings=())
        restored = imputer.restore(told, adapt=own.adapted)[:, names[hidden]].layers["restored"]
        for place, gene in enumerate(names[hidden]):
            a, b = measured[:, hidden[place]], restored[:, place]
            both = np.isfinite(a) & np.isfinite(b)
            a, b = a[both].astype(np.float64), b[both].astype(np.float64)
            if len(a) >= _LEAST and min(a.std(), b.std()) >= 1e-6:
                r = float(np.clip(np.corrcoef(a, b)[0, 1], -0.9999, 0.9999))
                low, high = fisher_interval(r, len(a))
                rows[str(gene)] = r, float(low), float(high), len(a)
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["r", "low", "high", "samples"])
    return frame.reindex([gene for gene in names if gene in rows])
