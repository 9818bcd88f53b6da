"""Real colorectal liver metastases, and colorectal primaries with subtypes, from the folder of real data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histoscribe.bulk import BulkTable
from histoscribe.bulk.reading import read_table
from histoscribe.errors import TableError
from histoscribe.generator.cohort import to_log2

CANCER, SITE = "COAD", "liver"


@dataclass(frozen=True, eq=False)
class Metastases:
    """Microarray profiles of liver metastases.

    Parameters
    ----------
    values : ndarray of float32, shape (samples, genes)
        log2 intensity.
    genes : tuple of str
    patients : ndarray of str, shape (samples,)
    liver : ndarray of float64, shape (samples,)
        Annotated share of liver tissue.
    """

    values: NDArray[np.float32]
    genes: tuple[str, ...]
    patients: NDArray[np.str_]
    liver: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Subtyped:
    """Colorectal primaries with a consensus molecular subtype.

    Parameters
    ----------
    values : ndarray of float32, shape (samples, genes)
        log2 of counts per million.
    genes : tuple of str
    subtype : ndarray of str, shape (samples,)
    """

    values: NDArray[np.float32]
    genes: tuple[str, ...]
    subtype: NDArray[np.str_]


def read_metastases(data: Path) -> Metastases:
    """295 metastases of mcrcOSLO."""
    import pandas as pd

    bulk = _read(data, "mcrcOSLOsubset", "log2")
    about = pd.read_csv(_path(data, "mcrcOSLOsubset.pheno.csv"), index_col=0)
    about = about.set_index("Sample name").loc[list(bulk.table.obs_names)]
    return Metastases(
        np.asarray(bulk.table.X, dtype=np.float32), tuple(map(str, bulk.table.var_names)),
        about["Patient ID"].astype(str).to_numpy(dtype=str), about["liver_proportion"].to_numpy(dtype=float),
    )  # fmt: skip


def read_subtyped(data: Path) -> Subtyped:
    """The primaries of crcTCGA that have a CMS label."""
    import pandas as pd

    bulk = _read(data, "crcTCGAsubset", "counts")
    about = pd.read_csv(_path(data, "crcTCGAsubset.pheno.csv"), index_col=0)
    labels = about["CMS.Syn"].reindex(list(bulk.table.obs_names))
    known = labels.notna().to_numpy()
    values = to_log2(bulk)[0]
    return Subtyped(
        values[known], tuple(map(str, bulk.table.var_names)), labels[known].astype(str).to_numpy(dtype=str)
    )


def _read(data: Path, name: str, scale: str) -> BulkTable:
    import pandas as pd

    features = pd.read_csv(_path(data, f"{name}.features.csv"), dtype=str)
    named = features.dropna(subset=["symbol"])
    renamed = dict(zip(named.iloc[:, 0], named["symbol"], strict=True))
    return read_table(_path(data, f"{name}.expr.csv.gz"), genes_in="rows", scale=scale, renamed=renamed)


def _path(data: Path, name: str) -> Path:
    path = data / "bulk" / name if (data / "bulk" / name).exists() else data / name
    if not path.exists():
        raise TableError("there is no such file", where=path, remedy="name the folder of real data")
    return path
