"""Reading a table of samples and genes, whatever it calls its genes and whichever way it lies."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from histoscribe.bulk.delimited import read_matrix
from histoscribe.bulk.table import BulkTable, as_table
from histoscribe.errors import SettingError, TableError
from histoscribe.genes.identifiers import clean_names, gene_likeness

if TYPE_CHECKING:
    from anndata import AnnData

_HDF5 = b"\x89HDF\r\n\x1a\n"


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
    import pandas as pd
    from anndata import AnnData

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
    table = AnnData(values, obs=pd.DataFrame(index=samples), var=pd.DataFrame(index=genes))
    done = as_table(table, name=name, scale=scale, renamed=renamed)
    return replace(done, warnings=(*said, *done.warnings))


def free_memory() -> int:
    """Bytes of memory that are free, as far as the system tells (4 GB where it does not)."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 4 * 1024**3


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
