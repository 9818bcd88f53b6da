"""Delimited text: CSV, TSV and GCT, plain or gzipped, read in bounded pieces."""

from __future__ import annotations

import csv
import gzip
import io
import os
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import TableError

if TYPE_CHECKING:
    import pandas as pd

_MAX_LINE = 64 * 1024**2
_MAX_COLUMNS = 500_000
_MAX_COMMENTS = 500
_CHUNK_CELLS = 4_000_000
_NA = ["", "NA", "na", "NaN", "nan", "null", "NULL", "None", "#N/A", "N/A", "-"]


@dataclass(frozen=True, eq=False)
class TextTable:
    """Numbers with a name for each row and column.

    Parameters
    ----------
    values : ndarray of float32, shape (rows, columns)
        NaN where a cell was empty.
    rows, columns : list of str
    notes : dict of str to list of str
        Text columns that stood beside the numbers, a value for each row.
    """

    values: NDArray[np.float32]
    rows: list[str]
    columns: list[str]
    notes: dict[str, list[str]]


def read_matrix(path: Path, *, memory: int) -> TextTable:
    """Read a delimited table as it lies in the file: first column names, first line names.

    Parameters
    ----------
    path : Path
    memory : int
        Bytes that the numbers may take.

    Raises
    ------
    TableError
        If it is empty, no table, damaged, has a text among numbers, or is larger than `memory`.
    """
    import pandas as pd

    try:
        with warnings.catch_warnings(), _open(path) as stream:
            warnings.simplefilter("error", pd.errors.ParserWarning)
            header, separator = _header(stream, path)
            header = _with_corner(stream, header, separator, path)
            reader = pd.read_csv(
                stream, sep=separator, header=None, names=range(len(header)), index_col=False, na_values=_NA,
                keep_default_na=False, low_memory=False, chunksize=max(1, _CHUNK_CELLS // len(header)),
                decimal="," if separator == ";" else ".", dtype={0: str}, on_bad_lines="error",
            )  # fmt: skip
            return _collect(reader, header, path, memory)
    except (OSError, EOFError, zlib.error) as error:
        raise TableError(
            f"the file cannot be read ({error})", where=path, remedy="check it, or copy it anew"
        ) from error
    except (pd.errors.ParserError, pd.errors.ParserWarning, UnicodeDecodeError, csv.Error) as error:
        raise TableError(
            f"this is no table of text ({str(error).splitlines()[0]})",
            where=path,
            remedy="give a CSV, TSV, GCT or h5ad file whose lines all have as many cells as the first",
        ) from error


@contextmanager
def _open(path: Path) -> Iterator[IO[str]]:
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        plain: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        yield io.TextIOWrapper(plain, encoding="utf-8-sig", newline="")


def _line(stream: IO[str], path: Path) -> str:
    line = stream.readline(_MAX_LINE)
    if len(line) >= _MAX_LINE:
        raise TableError("a line is longer than a table's can be", where=path, remedy="check the file")
    if "\0" in line:
        raise TableError("this is no text", where=path, remedy="give a CSV, TSV, GCT or h5ad file")
    return line


def _header(stream: IO[str], path: Path) -> tuple[list[str], str]:
    line = _line(stream, path)
    if line.startswith("#1."):
        _line(stream, path)
        line = _line(stream, path)
    for _ in range(_MAX_COMMENTS):
        if not line.startswith(("#", "!")):
            break
        line = _line(stream, path)
    if not line.strip():
        raise TableError("the file is empty", where=path, remedy="give a table of samples and genes")
    separator = max("\t,;", key=line.count)
    header = next(csv.reader([line.rstrip("\r\n")], delimiter=separator))
    if len(header) < 2 or len(header) > _MAX_COLUMNS:
        raise TableError(
            f"the first line has {len(header):,} cells", where=path,
            remedy="give a table with row names in the first column and column names in the first line",
        )  # fmt: skip
    return [cell.strip() for cell in header], separator


def _with_corner(stream: IO[str], header: list[str], separator: str, path: Path) -> list[str]:
    """The header with a name for the first column where the file has none, as R writes it."""
    here = stream.tell()
    first = next(csv.reader([_line(stream, path).rstrip("\r\n")], delimiter=separator), [])
    stream.seek(here)
    return ["", *header] if len(first) == len(header) + 1 else header


def _collect(reader: Any, header: list[str], path: Path, memory: int) -> TextTable:
    names: list[str] = []
    pieces: list[NDArray[np.float32]] = []
    notes: dict[int, list[str]] = {}
    numeric: list[int] = []
    size = os.path.getsize(path)
    used = 0
    for number, piece in enumerate(reader):
        if number == 0:
            numeric = [place for place in range(1, len(header)) if not _is_text(piece[place])]
            notes = {place: [] for place in range(1, len(header)) if place not in set(numeric)}
            if not numeric:
                raise TableError("no column holds numbers", where=path, remedy="check the file")
        names += [str(name).strip() for name in piece[0]]
        for place, kept in notes.items():
            kept += [str(value) for value in piece[place]]
        block = piece[numeric]
        try:
            values = block.to_numpy(dtype=np.float32)
        except (ValueError, TypeError) as error:
            raise _text_among_numbers(block, header, names[-len(piece) :], path) from error
        used += values.nbytes
        if used > memory:
            raise TableError(
                f"the table is larger than the memory that is free (over {memory / 1e9:.1f} GB of numbers in "
                f"a file of {size / 1e9:.1f} GB)",
                where=path,
                remedy="split it by samples, or use a machine with more memory",
            )
        pieces.append(values)
    if not names:
        raise TableError("there is a first line and nothing below it", where=path, remedy="check the file")
    columns = [header[place] for place in numeric]
    return TextTable(
        np.concatenate(pieces), names, columns, {header[place]: kept for place, kept in notes.items()}
    )


def _is_text(column: pd.Series) -> bool:
    import pandas as pd

    if column.dtype.kind in "fiub":
        return False
    known = column.dropna()
    share = pd.to_numeric(known, errors="coerce").notna().mean() if len(known) else 1.0
    return bool(share < 0.5)


def _text_among_numbers(block: Any, header: list[str], names: list[str], path: Path) -> TableError:
    import pandas as pd

    for place in block.columns:
        known = block[place].notna()
        wrong = known & pd.to_numeric(block[place], errors="coerce").isna()
        if wrong.any():
            row = int(np.flatnonzero(wrong.to_numpy())[0])
            return TableError(
                f"{block[place].iloc[row]!r} stands where a number should (row {names[row]}, column "
                f"{header[place]})",
                where=path,
                remedy="correct that cell, or leave it empty if it was not measured",
            )
    return TableError("some cells are no numbers", where=path, remedy="check the file")
