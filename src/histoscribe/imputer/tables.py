"""Patients and other names of a table, and the order in which an imputer works through its samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from histoscribe.bulk.reading import BulkTable
from histoscribe.errors import SettingError, TableError
from histoscribe.imputer.standard import Standard


def groups_of(bulk: BulkTable, patients: Sequence[str] | str | None) -> list[str]:
    """The patient of each sample, as given, named by a column, or each sample for itself."""
    table = bulk.table
    if patients is None:
        found = table.obs.get("patient", table.obs_names)
        return [str(one) for one in found]
    if isinstance(patients, str):
        if patients not in table.obs:
            raise SettingError(
                f"the table has no column {patients}",
                remedy=f"it has {', '.join(map(str, table.obs.columns))}",
            )
        return [str(one) for one in table.obs[patients]]
    if len(patients) != table.n_obs:
        raise TableError(
            f"{len(patients)} patients were given for {table.n_obs} samples", where=bulk.name,
            remedy="give one for each sample",
        )  # fmt: skip
    return [str(one) for one in patients]


def aliases_of(bulk: BulkTable, standard: Standard) -> dict[str, str]:
    """Ensembl ids (or symbols) that the training table holds beside its gene names."""
    aliases: dict[str, str] = {}
    genes = set(standard.genes)
    for column in ("gene_ids", "ensembl", "symbol", "gene_symbols"):
        if column in bulk.table.var:
            pairs = zip(bulk.table.var[column].astype(str), bulk.table.var_names.astype(str), strict=True)
            aliases.update(
                {other.split(".")[0]: gene for other, gene in pairs if gene in genes and other != gene}
            )
    return aliases


def ordered_rows(known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Samples with any value, those of one pattern together, so that a pattern is solved once."""
    rows = np.flatnonzero(known.any(1))
    _, which = np.unique(np.packbits(known[rows], axis=1), axis=0, return_inverse=True)
    return np.asarray(rows[np.argsort(which.reshape(-1), kind="stable")], dtype=np.int64)
