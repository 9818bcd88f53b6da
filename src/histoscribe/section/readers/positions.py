"""Where the spots of a Space Ranger folder lie, and which counts they belong to."""

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoscribe.bounds.content import SMALL_TEXT_BYTES, read_bytes
from histoscribe.bounds.parquet import read_parquet
from histoscribe.errors import SectionError, told_as
from histoscribe.section.table import Counts, examples, flags_of, no_join, repeated, rows_among

COLUMNS = ("barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres")
MOST_BINS = 50_000_000
"""The largest capture area today has 11 million bins of 2 µm."""
SLIDE_SPOTS = (4992, 14336)
"""Spots of a Visium capture area of 6.5 mm and of 11 mm."""
_BASES = re.compile(r"[ACGT]{12,}")
_ALSO = {
    "barcodes": "barcode", "tissue": "in_tissue", "row": "array_row", "col": "array_col",
    "imagerow": "pxl_row_in_fullres", "imagecol": "pxl_col_in_fullres",
}  # fmt: skip
"""What Seurat calls the columns."""
_AGAIN = "copy the spatial/ folder from Space Ranger again"


def read_positions(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read `tissue_positions_list.csv` (no header), `tissue_positions.csv` (header) or `.parquet`.

    Whether there is a header is decided by its words, not by the file's name; Seurat's columns are
    known. Returns all spots of the capture area by their barcodes, with `COLUMNS`, and what was left out.
    Raises `SectionError` if it is damaged; every problem is named.
    """
    frame = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    barcodes = frame["barcode"].astype(str).tolist()
    problems = []
    told = frame["in_tissue"].notna().to_numpy()
    inside = flags_of(frame["in_tissue"].fillna(0).to_numpy())
    if inside is None:
        problems.append("in_tissue holds something other than 0 and 1: are the columns in order?")
    wrong = "holds something that is no number"
    with told_as(SectionError, wrong, TypeError, ValueError, where=path, remedy=_AGAIN):
        values = frame[list(COLUMNS[2:])].to_numpy().astype(np.float64)
    if not len(values):
        problems.append("holds no spot")
    if twice := repeated(barcodes):
        problems.append(f"barcodes listed twice: {examples(twice)}")
    known = np.isfinite(values).all(axis=1) & told
    lost = [barcodes[row] for row in np.flatnonzero(~known)]
    broken = f"spots without a number in every column: {examples(lost)}"
    if 2 * np.count_nonzero(known) < len(known):
        problems.append(broken)
    if problems or inside is None:
        raise SectionError("; ".join(problems), where=path, remedy=_AGAIN)
    spots = pd.DataFrame(values, pd.Index(barcodes, dtype=object), COLUMNS[2:]).assign(in_tissue=inside)
    return (spots[known], [f"left out: {broken}"]) if lost else (spots, [])


def join(
    counts: Counts, positions: pd.DataFrame, where: Path
) -> tuple[NDArray[np.intp], NDArray[np.intp], list[str]]:
    """Match counts and positions by barcode, never by order; spots off the tissue are left out.

    Returns `rows_of_counts` and `rows_of_positions` (spots,): in the order of the counts. Raises
    `SectionError` if nothing joins, or no spot lies on tissue.
    """
    listed = positions.index.tolist()
    of_positions, warnings = rows_among(counts.spots, listed), list[str]()
    if of_positions.max() < 0:
        of_positions, warnings = _by_letters(counts.spots, listed)
    lost = [counts.spots[row] for row in np.flatnonzero(of_positions < 0)]
    if len(lost) == len(counts.spots):
        remedy = "use counts and spatial/ of the same Space Ranger run"
        raise no_join(counts, listed, where, remedy)
    if 2 * len(lost) > len(counts.spots):
        problem = f"{len(lost)} of {len(counts.spots)} spots with counts have no position: {examples(lost)}"
        remedy = "check that the file of positions is whole and of the same run"
        raise SectionError(problem, where=where, remedy=remedy)
    if lost:
        said = f"{len(lost)} spots have counts but no position and were left out: {examples(lost)}"
        if (count := len(listed)) + 1 in SLIDE_SPOTS:
            said += f"; the positions have {count} lines, one too few: was the first line lost?"
        warnings.append(said)
    kept = (of_positions >= 0) & positions["in_tissue"].to_numpy()[of_positions]
    if not kept.any():
        problem = "the section is empty: no spot with counts lies on tissue (in_tissue is 0 for all)"
        raise SectionError(problem, where=where, remedy="check the tissue detection in Space Ranger or Loupe")
    return np.flatnonzero(kept), of_positions[kept], warnings


def _by_letters(spots: Sequence[str], barcodes: Sequence[str]) -> tuple[NDArray[np.intp], list[str]]:
    """Match by the bases alone, where other programs put something else before or behind them."""
    own, listed = ([match and match[0] for match in map(_BASES.search, each)] for each in (spots, barcodes))
    if None in listed or len(set(listed)) < len(listed) or len(set(own)) < len(own):
        return np.full(len(spots), -1, dtype=np.intp), []
    return rows_among(own, listed), [
        "counts and positions write their barcodes differently: they were matched by their bases"
    ]


def _csv(path: Path) -> Any:
    text = io.BytesIO(read_bytes(path, SMALL_TEXT_BYTES))
    first = text.readline().decode("utf-8", "replace").lstrip("\ufeff").lower()
    numbered = first.replace('"', "").rstrip().split(",") == ["", *(f"v{one}" for one in range(1, 7))]
    text.seek(0 if not numbered else text.tell())
    separator = max(",;\t", key=first.count)
    has_header = "tissue" in first or first.startswith(("barcode", '"barcode'))
    wrong = (ValueError, pd.errors.ParserError)
    with told_as(SectionError, "not a whole table of positions", *wrong, where=path, remedy=_AGAIN):
        decimal, header = "," if separator == ";" else ".", 0 if has_header else None
        frame = pd.read_csv(text, sep=separator, decimal=decimal, header=header, dtype={0: str})
        frame = frame.iloc[:, 1:] if numbered else frame  # R's numbers of rows
    if not has_header:
        if frame.shape[1] != len(COLUMNS):
            raise _columns_error(path, f"{frame.shape[1]} columns where {len(COLUMNS)} are needed")
        return frame.set_axis(list(COLUMNS), axis=1)
    names = [str(name).strip().lower() for name in frame.columns]
    names = [_ALSO.get(name, name) for name in names]
    if "barcode" not in names and names[0].startswith("unnamed"):
        names[0] = "barcode"
    return _named(frame.set_axis(names, axis=1), path)


def _parquet(path: Path) -> Any:
    return _named(read_parquet(path, COLUMNS, most_rows=MOST_BINS).reset_index(), path)


def _named(frame: Any, path: Path) -> Any:
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise _columns_error(path, f"no column {', '.join(missing)}")
    return frame[list(COLUMNS)]


def _columns_error(path: Path, problem: str) -> SectionError:
    return SectionError(problem, where=path, remedy=f"the columns must be {', '.join(COLUMNS)}")
