"""Training and held-out samples of one seed, in standard deviations of the training samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import TableError

if TYPE_CHECKING:
    from anndata import AnnData

    from histoscribe.bulk import BulkTable

_LEAST = 20


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One division of a table by patient.

    Parameters
    ----------
    bulk : BulkTable
        All samples, the genes that are looked at.
    test : ndarray of bool, shape (samples,)
        Samples of held-out patients.
    train, truth : ndarray of float32, shape (training or held-out samples, genes)
        Standardised by the training samples; NaN where not measured.
    mean, sd : ndarray of float32, shape (genes,)
    kinds : ndarray of str, shape (samples,)
        Class of each sample; one for all where the table names none.
    seed : int
    """

    bulk: BulkTable
    test: NDArray[np.bool_]
    train: NDArray[np.float32]
    truth: NDArray[np.float32]
    mean: NDArray[np.float32]
    sd: NDArray[np.float32]
    kinds: NDArray[np.str_]
    seed: int

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where the truth is known, shape (held-out samples, genes)."""
        return ~np.isnan(self.truth)

    @property
    def filled(self) -> NDArray[np.float32]:
        """The training samples, holes at the mean."""
        return np.nan_to_num(self.train)


def hold_out(bulk: BulkTable, seed: int, *, genes: int | None = None, share: float = 0.2) -> HeldOut:
    """Hold out a share of the patients, and look at some random genes.

    Parameters
    ----------
    bulk : BulkTable
        `obs["patient"]` says whose a sample is; without it each sample stands for itself.
        `obs["class"]`, where there is one, is what a method may be told by.
    seed : int
    genes : int, optional
        How many, drawn at random; all where not given.

    Raises
    ------
    TableError
        If there are too few patients.
    """
    from dataclasses import replace

    random = np.random.default_rng(seed)
    table = bulk.table
    if genes is not None and genes < table.n_vars:
        table = table[:, np.sort(random.choice(table.n_vars, genes, replace=False))].copy()
    patients = patients_of(table)
    names = np.unique(patients)
    if len(names) < _LEAST:
        raise TableError(
            f"{len(names)} patients are too few to hold some out",
            where=bulk.name,
            remedy=f"give at least {_LEAST}",
        )
    test = np.isin(patients, random.choice(names, round(len(names) * share), replace=False))
    values = np.asarray(table.X, dtype=np.float32)
    with np.errstate(all="ignore"):
        mean, sd = np.nanmean(values[~test], 0), np.nanstd(values[~test], 0)
    varied = sd > 1e-6
    table, mean, sd = table[:, varied].copy(), mean[varied], sd[varied]
    z = ((values[:, varied] - mean) / sd).astype(np.float32)
    kinds = table.obs["class"].astype(str).to_numpy() if "class" in table.obs else np.full(len(z), "")
    return HeldOut(replace(bulk, table=table), test, z[~test], z[test], mean, sd, kinds, seed)


def patients_of(table: AnnData) -> NDArray[np.str_]:
    """The patient of each sample."""
    return np.asarray(table.obs.get("patient", table.obs_names), dtype=str)
