"""Delimited text: CSV, TSV and GCT, plain or gzipped, in any common encoding, read in bounded pieces."""

import csv
import gzip
import io
import os
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoscribe.bulk.layouts import (
    STRANDS,
    TextLayout,
    gct_layout,
    header_layout,
    is_descriptor,
    is_nameless,
)
from histoscribe.errors import TableError

_MAX_LINE = 64 * 1024**2
_MAX_COLUMNS = 500_000
_MAX_COMMENTS = 500
_CHUNK_CELLS = 4_000_000
_PEEKED, _PEEKED_CELLS = 50, 2000
_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
_POINT = re.compile(r"[-+]?\d+\.\d+(?:[eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}[.,]\d{3}")
_SMALL_WHOLE = re.compile(r"\d{1,3}")
_LIKELY = 10
"""Numbers from which all may be thousands, where none of them says otherwise."""
_PACKED = ("PK\x03\x04", "\xd0\xcf\x11\xe0")
_NA = ["", "NA", "na", "NaN", "nan", "null", "NULL", "None", "#N/A", "N/A", "n/a", "<NA>", "-"]
_PLAINLY: dict[str, Any] = {
    "header": None,
    "index_col": False,
    "dtype": {0: str},
    "na_values": _NA,
    "keep_default_na": False,
    "low_memory": False,
    "on_bad_lines": "error",
}


@dataclass(frozen=True, eq=False)
class TextTable:
    """Numbers with a name for each row and column."""

    values: NDArray[np.float32]
    """NaN where a cell was empty, shape (rows, columns)."""
    rows: list[str]
    columns: list[str]
    notes: dict[str, list[str]]
    """Columns of text, and those that describe genes, beside the numbers: a value for each row."""
    layout: TextLayout
    """What the file declares."""
    said: tuple[str, ...] = ()
    """What was doubtful about its text, in plain words."""


def read_matrix(path: Path, *, memory: int) -> TextTable:
    """Read a delimited table as it lies in the file: first column names, first line names.

    UTF-8, UTF-16, and Latin-1 where it is neither; tabs, commas or semicolons; decimal points or commas.
    Raises `TableError` if it is empty, no table, damaged, has a text among numbers, its commas may mean two
    things, or its numbers would take more than `memory` bytes.
    """
    try:
        encoding = _encoding(path)
        try:
            return _read(path, encoding, memory)
        except UnicodeDecodeError:
            if encoding != "utf-8-sig":
                raise
            found = _read(path, "latin-1", memory)
            return replace(found, said=("its text is not UTF-8 and was read as Latin-1", *found.said))
    except (OSError, EOFError, zlib.error) as error:
        remedy = "check it, or copy it anew"
        raise TableError(f"the file cannot be read ({error})", where=path, remedy=remedy) from error
    except (pd.errors.ParserError, pd.errors.ParserWarning, UnicodeError, csv.Error) as error:
        problem = f"this is no table of text ({str(error).splitlines()[0]})"
        remedy = "give a CSV, TSV, GCT or h5ad file whose lines all have as many cells as the first"
        raise TableError(problem, where=path, remedy=remedy) from error


def _read(path: Path, encoding: str, memory: int) -> TextTable:
    with warnings.catch_warnings(), _open(path) as plain:
        stream = io.TextIOWrapper(plain, encoding=encoding, newline="")
        warnings.simplefilter("error", pd.errors.ParserWarning)
        header, separator, layout = _header(stream, path)
        here = stream.tell()
        lines = [_line(stream, path).rstrip("\r\n") for _ in range(_PEEKED)]
        cells = [next(csv.reader([line], delimiter=separator), []) for line in lines]
        stream.seek(here)
        if len(cells[0]) == len(header) + 1:  # as R writes it
            header = ["", *header]
        decimal, rows = _decimal(cells, separator, path), max(1, _CHUNK_CELLS // len(header))
        reader = pd.read_csv(
            stream, sep=separator, names=range(len(header)), decimal=decimal, chunksize=rows, **_PLAINLY
        )
        return _collect(reader, header, layout, path, memory)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    with open(path, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        yield gzip.GzipFile(fileobj=raw) if packed else raw


def _encoding(path: Path) -> str:
    """UTF-16 by its mark, or by the zero bytes of its ASCII; else UTF-8."""
    with _open(path) as plain:
        start = plain.read(4096)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    even, odd = start[::2].count(0), start[1::2].count(0)
    if max(even, odd) > 0.4 * len(start) / 2 and min(even, odd) == 0:
        return "utf-16-le" if odd else "utf-16-be"
    return "utf-8-sig"


def _line(stream: IO[str], path: Path) -> str:
    line = stream.readline(_MAX_LINE)
    if len(line) >= _MAX_LINE:
        raise TableError("a line is longer than a table's can be", where=path, remedy="check the file")
    if line.startswith(_PACKED):
        remedy = "save the sheet as CSV, or unpack the archive"
        raise TableError("this is a spreadsheet or an archive, no text", where=path, remedy=remedy)
    if "\0" in line:
        raise TableError("this is no text", where=path, remedy="give a CSV, TSV, GCT or h5ad file")
    return line


def _header(stream: IO[str], path: Path) -> tuple[list[str], str, TextLayout]:
    begin = stream.tell()
    line = _line(stream, path)
    declared = None
    if line.startswith("#1."):
        declared = gct_layout(line, _line(stream, path), path)
        begin, line = stream.tell(), _line(stream, path)
    comment = ""
    for _ in range(_MAX_COMMENTS):
        if line.strip(' ,;\t\r\n"') and not line.startswith(("#", "!")):
            break
        comment, begin = line, stream.tell()
        line = _line(stream, path)
    if comment.startswith("#") and 0 < comment.count("\t") == line.count("\t"):
        stream.seek(begin)  # its header is the last comment
        line = comment.lstrip("# ")
    if not line.strip():
        raise TableError("the file is empty", where=path, remedy="give a table of samples and genes")
    separator = max("\t,;", key=line.count)
    header = [cell.strip() for cell in next(csv.reader([line.rstrip("\r\n")], delimiter=separator))]
    if len(header) < 2 or len(header) > _MAX_COLUMNS:
        remedy = "give a table with row names in the first column and column names in the first line"
        raise TableError(f"the first line has {len(header):,} cells", where=path, remedy=remedy)
    if is_nameless(header):
        stream.seek(begin)
        names = STRANDS if len(header) == 4 else [f"column {place}" for place in range(2, len(header) + 1)]
        return ["gene", *(names if len(header) > 2 else STRANDS[:1])], separator, TextLayout("rows")
    layout = declared or header_layout(header)
    for _ in range(layout.skipped):
        _line(stream, path)
    return header, separator, layout


def _decimal(lines: list[list[str]], separator: str, path: Path) -> str:
    """What marks decimals: between semicolons a comma; elsewhere it may part thousands.

    A point may part thousands too, where semicolons stand between numbers, or whole ones are below 1,000.
    """
    cells = [cell.strip() for line in lines for cell in line[1:_PEEKED_CELLS]]
    points = [cell for cell in cells if _POINT.fullmatch(cell)]
    commas = [cell for cell in cells if _COMMA.fullmatch(cell)]
    if len(points) >= _LIKELY and not commas and all(map(_THOUSANDS.fullmatch, points)):
        others = [cell for cell in cells if cell.isdigit()]
        whole = bool(others) and all(map(_SMALL_WHOLE.fullmatch, others))
        if separator == ";" or whole:
            raise _ambiguous("point", points[0], path)
    if separator == ";":
        return "." if points else ","
    if commas and all(map(_THOUSANDS.fullmatch, commas)):
        raise _ambiguous("comma", commas[0], path)
    return "," if commas else "."


def _ambiguous(mark: str, number: str, path: Path) -> TableError:
    problem = f"the {mark} in {number!r} may mark thousands or decimals"
    remedy = "write numbers without thousands separators, with a point before decimals"
    return TableError(problem, where=path, remedy=remedy)


def _collect(reader: Any, header: list[str], layout: TextLayout, path: Path, memory: int) -> TextTable:
    names: list[str] = []
    pieces: list[NDArray[np.float32]] = []
    notes: dict[int, list[str]] = {}
    numeric: list[int] = []
    size = os.path.getsize(path)
    used = 0
    for number, piece in enumerate(reader):
        if number == 0:
            places = range(1, len(header))
            aside = {p for p in places if p <= layout.descriptors or is_descriptor(header[p])}
            aside |= {p for p in places if p not in aside and _is_text(piece[p])}
            aside |= {
                p for p in places if not header[p] and piece[p].isna().all()
            }  # behind a line's last comma
            numeric = [place for place in places if place not in aside]
            notes = {place: [] for place in sorted(aside)}
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
    if names[-1].startswith("!"):  # the end of a series matrix
        names, pieces[-1] = names[:-1], pieces[-1][:-1]
        notes = {place: kept[:-1] for place, kept in notes.items()}
    if np.isnan(pieces[-1][-1, -1]) and (cells := _cells_of_last_line(path)) < len(header):
        problem = f"its last line has {cells} cells, the first {len(header)}: the file is cut off"
        raise TableError(problem, where=path, remedy="copy it anew, or fill that line up")
    if len(names) < layout.rows:
        remedy = "copy it anew if it is cut off, else correct its second line"
        problem = f"it states {layout.rows:,} rows and holds {len(names):,}"
        raise TableError(problem, where=path, remedy=remedy)
    columns = [header[place] for place in numeric]
    beside = {header[place]: kept for place, kept in notes.items() if header[place]}
    more = f"its second line states {layout.rows:,} rows, it holds {len(names):,}"
    said = (more,) if 0 < layout.rows < len(names) else ()
    return TextTable(np.concatenate(pieces), names, columns, beside, layout, said)


def _cells_of_last_line(path: Path) -> int:
    """How many cells the last line that is not blank has."""
    last = ""
    encoding = _encoding(path)
    with _open(path) as plain, io.TextIOWrapper(plain, encoding=encoding, errors="replace") as stream:
        for line in stream:
            last = line if line.strip() else last
    separator = max("\t,;", key=last.count)
    return len(next(csv.reader([last], delimiter=separator), []))


def _is_text(column: pd.Series) -> bool:
    if column.dtype.kind in "fiu":
        return False
    if column.dtype.kind == "b":  # yes and no
        return True
    known = column.dropna()
    share = pd.to_numeric(known, errors="coerce").notna().mean() if len(known) else 1.0
    return bool(share < 0.5)


def _text_among_numbers(block: Any, header: list[str], names: list[str], path: Path) -> TableError:
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
