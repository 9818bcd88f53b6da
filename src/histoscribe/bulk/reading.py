"""Reading a table of samples and genes, whatever it calls its genes and whichever way it lies."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.bulk.delimited import read_matrix
from histoscribe.bulk.scales import SCALES, recognise_scale
from histoscribe.errors import SettingError, TableError
from histoscribe.genes.identifiers import clean_names, gene_likeness

if TYPE_CHECKING:
    from anndata import AnnData

_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, eq=False)
class BulkTable:
    """Samples by genes, ready to be used.

    Parameters
    ----------
    name : str
        The file's name without its ending.
    table : AnnData
        `X` float32, shape (samples, genes), NaN where not measured; unique clean gene names.
    scale : str
        A key of `histoscribe.bulk.SCALES`.
    identifiers : str
        `symbol`, `ensembl` or `entrez`.
    warnings : tuple of str
        Everything doubtful about it and everything that was done to it, in plain words.
    """

    name: str
    table: AnnData
    scale: str
    identifiers: str
    warnings: tuple[str, ...] = ()


def read_table(
    path: str | PathLike[str],
    *,
    genes_in: str | None = None,
    scale: str | None = None,
    renamed: Mapping[str, str] | None = None,
    memory: int | None = None,
) -> BulkTable:
    """Read a CSV, TSV, GCT (plain or gzipped) or h5ad table.

    Parameters
    ----------
    path : path
    genes_in : {"columns", "rows"}, optional
        Where the genes are; told by their names where not given. h5ad always has them in columns.
    scale : str, optional
        A key of `SCALES`; recognised where not given.
    renamed : mapping of str to str, optional
        Other gene names to use: Entrez number → symbol, say.
    memory : int, optional
        Bytes that the numbers may take; by default half of what the machine has free.

    Raises
    ------
    TableError
        If it is no table, is damaged, is too large, or its values make no sense.
    """
    path = Path(path)
    if genes_in not in (None, "columns", "rows"):
        raise SettingError(f"genes are in columns or rows, not in {genes_in!r}")
    if not path.is_file():
        raise TableError("there is no such file", where=path, remedy="check the path")
    memory = free_memory() // 2 if memory is None else memory
    with open(path, "rb") as stream:
        start = stream.read(8)
    name = path.name.split(".")[0]
    if start == _HDF5:
        return as_table(_read_h5ad(path, memory), name=name, scale=scale, renamed=renamed)
    matrix = read_matrix(path, memory=memory)
    values, samples, genes = matrix.values, matrix.rows, matrix.columns
    said: list[str] = []
    turn = genes_in == "rows"
    if genes_in is None:
        by_rows, by_columns = gene_likeness(matrix.rows), gene_likeness(matrix.columns)
        turn = by_rows > by_columns or (by_rows == by_columns and len(matrix.rows) > len(matrix.columns))
        if abs(by_rows - by_columns) < 0.2:
            said.append(
                f"it is not plain whether genes are in rows or columns; they were taken to be in "
                f"{'rows' if turn else 'columns'}"
            )
    if turn:
        values, samples, genes = np.ascontiguousarray(values.T), matrix.columns, matrix.rows
        if renamed is None and "Description" in matrix.notes and clean_names(genes).kind != "symbol":
            said.append("gene symbols were taken from the column Description")
            genes = matrix.notes["Description"]
    if matrix.notes:
        said.append(f"columns without numbers were left out: {', '.join(list(matrix.notes)[:5])}")
    table = _anndata(values, samples, genes)
    done = as_table(table, name=name, scale=scale, renamed=renamed)
    return replace(done, warnings=(*said, *done.warnings))


def as_table(
    table: AnnData, *, name: str = "table", scale: str | None = None, renamed: Mapping[str, str] | None = None
) -> BulkTable:
    """Check an AnnData of samples or spots and bring it to the form of `BulkTable`.

    Gene names are cleaned; genes of one name are collapsed: summed where values are counts or
    abundances, else the one with the highest mean is kept.

    Raises
    ------
    TableError
        If it has no samples or genes, or its values make no sense.
    """
    if 0 in table.shape:
        raise TableError(
            f"there are {table.n_obs} samples and {table.n_vars} genes", where=name, remedy="check the file"
        )
    said: list[str] = []
    values = dense(table.X)
    known = scale or recognise_scale(values, where=name)
    if known not in SCALES:
        raise SettingError(f"{known!r} is no scale", where=name, remedy=f"use one of {', '.join(SCALES)}")
    if known == "counts" and (values < 0).any():
        raise TableError("some counts are negative", where=name, remedy="give raw counts, or name the scale")
    if scale is None:
        said.append(f"values were taken as {SCALES[known]}")
    given = [(renamed or {}).get(str(gene), str(gene)) for gene in table.var_names]
    clean = clean_names(given)
    if clean.dates:
        shown = ", ".join(f"{old} → {new}" for old, new in clean.dates[:5])
        said.append(f"{len(clean.dates)} gene names had become dates and were turned back ({shown})")
    if clean.doubtful:
        said.append(
            f"{', '.join(clean.doubtful[:5])}: dates that stand for more than one gene; left as they are"
        )
    values, names, kept, doubled = _collapse(values, list(clean.names), summed=known in ("counts", "linear"))
    if doubled:
        rule = "summed" if known in ("counts", "linear") else "the one with the highest mean was kept"
        said.append(f"{doubled} gene names occurred more than once: {rule}")
    empty = int(np.isnan(values).all(1).sum())
    if empty:
        said.append(f"{empty} of {len(values)} samples have no value at all")
    fresh = _anndata(values, list(table.obs_names), names)
    if not fresh.obs_names.is_unique:
        said.append("sample names occurred more than once and were numbered")
        fresh.obs_names_make_unique()
    fresh.obs = table.obs.set_axis(fresh.obs_names)
    fresh.var = table.var.iloc[kept].set_axis(names)
    for key, coordinates in table.obsm.items():
        fresh.obsm[key] = coordinates
    return BulkTable(name, fresh, known, clean.kind, tuple(said))


def dense(values: Any) -> NDArray[np.float32]:
    """Values as a dense float32 array; masked and sparse ones are opened."""
    opened = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    return np.asarray(opened, dtype=np.float32)


def free_memory() -> int:
    """Bytes of memory that are free, as far as the system tells (4 GB where it does not)."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 4 * 1024**3


def _collapse(
    values: NDArray[np.float32], names: list[str], *, summed: bool
) -> tuple[NDArray[np.float32], list[str], NDArray[np.int64], int]:
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    doubled = {name: group for name, group in places.items() if len(group) > 1}
    kept = np.array([group[0] for group in places.values()], dtype=np.int64)
    if not doubled:
        return values, names, kept, 0
    result = values[:, kept].copy()
    for column, (name, group) in enumerate(places.items()):
        if name in doubled:
            several = values[:, group]
            missing = np.isnan(several)
            if summed:
                result[:, column] = np.where(missing.all(1), np.nan, np.nansum(several, axis=1))
            else:
                means = np.where(missing, 0, several).sum(0) / np.maximum((~missing).sum(0), 1)
                best = int(np.argmax(np.where(missing.all(0), -np.inf, means)))
                result[:, column], kept[column] = several[:, best], group[best]
    return result, list(places), kept, len(doubled)


def _anndata(values: NDArray[np.float32], samples: list[str], genes: list[str]) -> AnnData:
    import pandas as pd
    from anndata import AnnData

    return AnnData(values, obs=pd.DataFrame(index=samples), var=pd.DataFrame(index=genes))


def _read_h5ad(path: Path, memory: int) -> AnnData:
    import anndata
    import h5py

    try:
        with h5py.File(path, "r") as file:
            for group in ("obs", "var", "X"):
                if group not in file or file.get(group, getlink=True).__class__ is not h5py.HardLink:
                    raise TableError(
                        f"this HDF5 file has no {group} of its own, so it is no h5ad table", where=path,
                        remedy="write it again with AnnData",
                    )  # fmt: skip
            rows, columns = _extent(file["X"])
            stored = max((part.nbytes for part in _parts(file["X"])), default=0)
        if max(rows * columns * 4, stored) > memory:
            raise TableError(
                f"the table is larger than the memory that is free ({rows:,} × {columns:,} needs "
                f"{rows * columns * 4 / 1e9:.1f} GB, {memory / 1e9:.1f} GB may be used)",
                where=path,
                remedy="split it by samples, or use a machine with more memory",
            )
        return anndata.read_h5ad(path)
    except TableError:
        raise
    except Exception as error:  # anndata raises many kinds on damaged files
        raise TableError(
            f"the h5ad file cannot be read ({type(error).__name__}: {str(error).splitlines()[0][:200]})",
            where=path,
            remedy="copy it anew, or write it again with AnnData",
        ) from error


def _parts(node: Any) -> list[Any]:
    return list(node.values()) if hasattr(node, "values") else [node]


def _extent(node: Any) -> tuple[int, int]:
    shape = node.attrs.get("shape", getattr(node, "shape", None))
    return int(shape[0]), int(shape[1])
