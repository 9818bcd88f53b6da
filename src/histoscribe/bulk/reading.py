"""Reading a table of samples and genes, whatever it calls its genes and whichever way it lies."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from itertools import compress
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoscribe.bounds.hdf5 import opened_hdf5
from histoscribe.bulk.delimited import TextTable, read_matrix
from histoscribe.bulk.layouts import (
    STATISTICS,
    SYMBOL_COLUMNS,
    genes_of,
    is_clinical,
    is_special,
    plain_word,
    quantity_of,
)
from histoscribe.bulk.scales import stated_doubts
from histoscribe.bulk.table import BulkTable, are_counts, as_table, counts_beside, dense
from histoscribe.errors import SettingError, TableError, told_as
from histoscribe.genes.identifiers import clean_names, gene_likeness
from histoscribe.genes.sets import shipped_gene_sets
from histoscribe.record import record_of

if TYPE_CHECKING:
    from anndata import AnnData

_HDF5 = b"\x89HDF\r\n\x1a\n"
_CLEAR, _SOME, _PLAIN = 0.2, 0.3, 0.5  # of how much names look like genes
_MANY, _STEEP = 500, 10


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
        return _of_h5ad(_read_h5ad(path, memory), name, scale, renamed)
    text = read_matrix(path, memory=memory)
    _refuse_no_samples(text, path)
    said = list(text.said)
    turn, doubt = (genes_in == "rows", "") if genes_in else _genes_in_rows(text, path)
    if doubt:
        said.append(doubt)
    values, samples, genes = text.values, text.rows, text.columns
    if turn:
        values, samples = _one_quantity(np.ascontiguousarray(values.T), text.columns, name, said)
        genes = _symbols(text.rows, text.notes, said) if renamed is None else text.rows
    if aside := list(text.notes):
        said.append(f"columns without {'samples' if turn else 'genes'} were left out: {', '.join(aside[:5])}")
    others = [(is_special, "reads without a gene were left out")]
    if gene_likeness(genes) > _PLAIN:
        others.insert(0, (is_clinical, "what tells of samples, and is no gene, was left out"))
    for is_other, words in others:
        dropped = np.array([is_other(gene) for gene in genes], dtype=bool)
        if dropped.any():
            said.append(f"{words}: {', '.join([*compress(genes, dropped)][:5])}")
            values, genes = values[:, ~dropped], list(compress(genes, ~dropped))
    summed = _sums(values)
    if summed.any():
        shown = [sample for sample, left_out in zip(samples, summed, strict=True) if left_out]
        said.append(f"sums or means of all other samples were left out: {', '.join(shown[:5])}")
        values = values[~summed]
        samples = [sample for sample, left_out in zip(samples, summed, strict=True) if not left_out]
    said += [*_name_doubts(genes), *stated_doubts(values, scale, where=name)]
    table = AnnData(values, obs=pd.DataFrame(index=samples), var=pd.DataFrame(index=genes))
    done = as_table(table, name=name, scale=scale, renamed=renamed)
    return replace(done, warnings=(*said, *done.warnings))


def _refuse_no_samples(text: TextTable, path: Path) -> None:
    """Refuse results of a comparison, and lists with a line for each gene of each sample."""
    found = [name for name in text.columns if plain_word(name) in STATISTICS]
    if len(found) > 1:
        problem = f"it is the result of a comparison ({', '.join(found[:3])}), not expression"
        raise TableError(problem, where=path, remedy="give the counts or values that were compared")
    if text.notes and len(text.columns) < 3 and 2 * len(set(text.rows)) <= len(text.rows):
        problem = "its lines repeat their names: is each of them one gene of one sample"
        raise TableError(problem, where=path, remedy="pivot it to a row for each gene, a column a sample")


def _sums(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which row is the sum, or the mean, of all others; none among fewer than four."""
    whole, found = np.nansum(values, axis=0, dtype=np.float64), np.zeros(len(values), dtype=np.bool_)
    each, close = np.nansum(values, axis=1, dtype=np.float64), 1e-3 * np.abs(whole).sum()
    for size in (2, len(values)) if len(values) >= 4 else ():  # how often the row fits into the sum of all
        for row in np.flatnonzero(np.abs(size * each - whole.sum()) <= close):
            found[row] |= np.allclose(size * np.nan_to_num(values[row]), whole, rtol=1e-3)
    return found if found.sum() == 1 else np.zeros_like(found)


def _genes_in_rows(text: TextTable, path: Path) -> tuple[bool, str]:
    """Whether genes are in rows, and what is doubtful: as declared, else by shape and names together.

    Raises `TableError` if both ways look like genes.
    """
    if quantity_of(text.columns):
        return True, ""
    by_rows, by_columns = gene_likeness(text.rows), gene_likeness(text.columns)
    if text.layout.genes_in == "rows" and by_columns - by_rows < _PLAIN:
        return True, ""
    rows, columns = len(text.rows), len(text.columns)
    tall = rows >= max(_MANY, _STEEP * columns) and by_rows > _SOME
    wide = columns >= max(_MANY, _STEEP * rows) and by_columns > _SOME
    if tall != wide:
        return tall, ""
    if abs(by_rows - by_columns) >= _CLEAR:
        return by_rows > by_columns, ""
    known = {gene for genes in shipped_gene_sets().values() for gene in genes}
    in_rows, in_columns = (len(known.intersection(names)) for names in (text.rows, text.columns))
    if max(in_rows, in_columns) >= _STEEP * max(min(in_rows, in_columns), 1):
        return in_rows > in_columns, ""
    if min(by_rows, by_columns) >= _PLAIN:
        theirs = (", ".join(names[:3]) for names in (text.rows, text.columns))
        problem = "its rows ({}…) and its columns ({}…) both look like genes".format(*theirs)
        remedy = "write gene into its first cell if genes are in rows, else give the table turned round"
        raise TableError(problem, where=path, remedy=remedy)
    turn = by_rows > by_columns or (by_rows == by_columns and rows > columns)
    side = "rows" if turn else "columns"
    return turn, f"it is not plain whether genes are in rows or columns; they were taken to be in {side}"


def _one_quantity(
    values: NDArray[np.float32], samples: list[str], name: str, said: list[str]
) -> tuple[NDArray[np.float32], list[str]]:
    """One sample where the columns are its quantities; alignments' files by their names."""
    if (taken := quantity_of(samples)) is not None:
        if len(samples) > 1:
            said.append(f"its columns are quantities of one sample; {taken} was taken")
        return values[[samples.index(taken)]], [name]
    if all(sample.endswith((".bam", ".sam", ".cram")) for sample in samples):
        return values, [Path(sample).stem for sample in samples]
    return values, samples


def _symbols(genes: list[str], notes: Mapping[str, list[str]], said: list[str]) -> list[str]:
    """Gene symbols from a column beside identifiers, or any names of genes beside numbers of rows."""
    likeness = gene_likeness(genes)
    if clean_names(genes).kind == "symbol" and likeness > _SOME:
        return genes
    counted = likeness <= 0 and all(map(str.isdigit, genes))
    for column, values in sorted(notes.items(), key=lambda note: plain_word(note[0]) not in SYMBOL_COLUMNS):
        if (counted or plain_word(column) in SYMBOL_COLUMNS) and gene_likeness(values) > _SOME:
            said.append(f"gene symbols were taken from the column {column}")
            empty = ("nan", "", "na")
            return [gene if one.lower() in empty else one for gene, one in zip(genes, values, strict=True)]
    return genes


def _of_h5ad(table: AnnData, name: str, scale: str | None, renamed: Mapping[str, str] | None) -> BulkTable:
    """What an h5ad file holds: counts wherever they are, symbols beside identifiers."""
    said: list[str] = []
    bare = table.X is None or not are_counts(table.X)
    if scale is None and record_of(table).kind is None and bare and (beside := counts_beside(table)):
        table, words = beside
        said.append(words)
    if table.X is None:
        raise TableError("it has no values: there is no X", where=name, remedy="write it again with X")
    kept, others = genes_of(table.var)
    if others:
        table = table[:, kept].copy() if kept else table
        said.append(others)
    if renamed is None:
        notes = {str(column): list(map(str, table.var[column])) for column in table.var}
        table.var_names = _symbols(list(map(str, table.var_names)), notes, said)
    said += _name_doubts(list(map(str, table.var_names)))
    said += stated_doubts(dense(table.X), scale, where=name)
    done = as_table(table, name=name, scale=scale, renamed=renamed)
    return replace(done, warnings=(*said, *done.warnings))


def _name_doubts(genes: list[str]) -> list[str]:
    if gene_likeness(genes) >= _CLEAR:
        return []
    words = f"its genes are called {', '.join(genes[:3])} and so on, which look like no names of genes: "
    lost = all(gene.isdigit() for gene in genes)
    words += "were they lost?" if lost else "match probes or transcripts to genes first"
    return [words]


def free_memory() -> int:
    """Bytes of memory that are free, as far as the system tells (4 GB where it does not)."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 4 * 1024**3


def _read_h5ad(path: Path, memory: int) -> AnnData:
    import anndata

    with opened_hdf5(path, kind=TableError) as file:
        held = "X" if "X" in file or "layers" not in file else "layers"
        if missing := [group for group in ("obs", "var", held) if group not in file]:
            problem = f"this HDF5 file has no {missing[0]} of its own, so it is no h5ad table"
            raise TableError(problem, where=path, remedy="write it again with AnnData")
        matrices = [file["X"]] if held == "X" else list(file["layers"].values())
        shapes = [one.attrs.get("shape", getattr(one, "shape", None)) for one in matrices] or [(0, 0)]
        rows, columns = (max(int(shape[axis]) for shape in shapes) for axis in (0, 1))
        parts = [part for one in matrices for part in (one.values() if hasattr(one, "values") else [one])]
        stored = max((part.nbytes for part in parts), default=0)
    if max(rows * columns * 4, stored) > memory:
        raise TableError(
            f"the table is larger than the memory that is free ({rows:,} × {columns:,} needs "
            f"{rows * columns * 4 / 1e9:.1f} GB, {memory / 1e9:.1f} GB may be used)",
            where=path,
            remedy="split it by samples, or use a machine with more memory",
        )
    # anndata raises many kinds on damaged files
    remedy = "copy it anew, or write it again with AnnData"
    with told_as(TableError, "the h5ad file cannot be read", Exception, where=path, remedy=remedy):
        return anndata.read_h5ad(path)
