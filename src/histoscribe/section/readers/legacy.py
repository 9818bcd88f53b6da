"""Sections from legacy Spatial Transcriptomics: a counts table, a positions file and an image."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoscribe.bounds.content import SMALL_TEXT_BYTES, read_bytes
from histoscribe.bulk.layouts import is_special
from histoscribe.errors import SectionError, told_as
from histoscribe.section.assembly import assemble, section_name
from histoscribe.section.lattice import free_spacing, mirror_doubts, square_spacing, unit_vectors
from histoscribe.section.model import Section, SectionOptions
from histoscribe.section.scale import LEGACY_PITCH_UM, LEGACY_SPOT_UM, SpotScale
from histoscribe.section.table import Counts, checked_counts, examples, no_join, repeated, rows_among
from histoscribe.slide import Slide

_NEEDED = ("x", "y", "pixel_x", "pixel_y")
_COUNTS_REMEDY = "the first line must name the genes, and each further line start with a spot such as 10x14"


def read_legacy(
    counts: str | Path,
    positions: str | Path,
    slide: Slide | str | Path | None = None,
    *,
    pitch_um: float = LEGACY_PITCH_UM,
    spot_um: float = LEGACY_SPOT_UM,
    name: str | None = None,
    patient: str | None = None,
) -> Section:
    """Read one section of a legacy array.

    Parameters
    ----------
    counts : path
        Text with tabs, commas or semicolons, plain or gzipped: a spot `XxY` per row, a gene per column
        (or the other way round).
    positions : path
        Columns `x y pixel_x pixel_y`, optionally `new_x new_y selected`; `pixel_x` is the column.
    slide : Slide or path, optional
        The image that `pixel_x` and `pixel_y` count in.
    pitch_um, spot_um : float
        Distance of spots within a row of the array, and their diameter.
    name, patient : str, optional
        From the file's name where not given.

    Raises
    ------
    SectionError
        If a part is missing or damaged, or the parts do not belong together.
    """
    counts_path, positions_path = Path(counts), Path(positions)
    table_of_counts = read_counts_table(counts_path)
    spots, array, centres, listed = _read_positions(positions_path)
    spacing = square_spacing(array, centres, pitch_um) or free_spacing(centres, pitch_um)
    if spacing is None:
        raise SectionError(
            "the µm per pixel cannot be told: fewer than two selected spots at different places",
            where=positions_path,
        )
    rows, of_positions, doubts = _join(table_of_counts, spots, listed, counts_path)
    doubts += mirror_doubts(unit_vectors(array[:, ::-1], centres))  # x is the column
    array = array[of_positions]
    return assemble(
        table_of_counts,
        rows,
        centres[of_positions],
        SpotScale(spacing.mpp, spacing.pitch_um, spot_um, (*doubts, *spacing.warnings)),
        SectionOptions(slide, patient, name),
        name=section_name(counts_path),
        obs={"array_row": array[:, 1], "array_col": array[:, 0]},
    )


def looks_like_counts_table(path: Path) -> bool:
    """Whether a text file's second line, or its first one's second cell, is a spot such as `10x14`."""
    try:
        text = io.BytesIO(read_bytes(path))
    except SectionError:
        return False
    header, first = text.readline(1 << 24), text.readline(4096)
    cells = [re.split(rb"[\t,;]", first)[0], re.split(rb"[\t,;]", header)[-1]]
    return any(_spot_id(cell.decode("utf-8", "replace").strip(' "\r\n')) for cell in cells)


def read_counts_table(path: Path) -> Counts:
    """Read a counts table with spots `XxY` as rows, or as columns, spots by genes.

    Raises `SectionError` if it is damaged, has no spots, or values that are no counts.
    """
    text = io.StringIO(read_bytes(path).decode("utf-8", "replace"))
    header = text.readline().rstrip("\r\n")
    separator = max(",;\t", key=header.count)
    columns = [cell.strip('" ') for cell in header.split(separator)]
    lines = [line.split(separator, 1) for line in text.read().splitlines() if line.strip()]
    lines = [line for line in lines if not is_special(line[0].strip('" '))]
    names = [line[0].strip('" ') for line in lines]
    if not lines or any(len(line) < 2 for line in lines):
        raise SectionError("not a table of counts", where=path, remedy=_COUNTS_REMEDY)
    if not columns[0] or len(columns) == lines[0][1].count(separator) + 2:
        columns = columns[1:]
    with told_as(SectionError, "not a whole table of counts", ValueError, where=path, remedy=_COUNTS_REMEDY):
        rows = (line[1] for line in lines)
        matrix = np.loadtxt(rows, delimiter=separator, dtype=np.float32, ndmin=2, quotechar='"')
    if matrix.shape[1] != len(columns):
        problem = f"the first line names {len(columns)} columns, the others hold {matrix.shape[1]}"
        raise SectionError(problem, where=path, remedy=_COUNTS_REMEDY)
    ids, of_columns = [_spot_id(name) for name in names], [_spot_id(name) for name in columns]
    if not any(ids) and all(of_columns):
        ids, matrix, columns = of_columns, matrix.T, names
    if foreign := [name for name, spot in zip(names, ids, strict=False) if spot is None]:
        raise SectionError(f"rows that are no spots: {examples(foreign)}", where=path, remedy=_COUNTS_REMEDY)
    return checked_counts(matrix, [spot for spot in ids if spot], columns, where=path)


def _spot_id(name: str) -> str | None:
    """`10x14` from `10x14` or `10.02x13.98`; None where it is neither."""
    try:
        x, y = (float(part) for part in name.removeprefix("X").split("x"))  # R puts the X there
        return f"{round(x)}x{round(y)}"
    except (ValueError, OverflowError):
        return None


def _read_positions(path: Path) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64], set[str]]:
    """Selected spots: names, array coordinates (x, y), pixels (row, column); and all names listed."""
    text = read_bytes(path, SMALL_TEXT_BYTES)
    first = text.split(b"\n", 1)[0].decode("utf-8", "replace")
    separator = max(",;\t", key=first.count)
    wrong = (ValueError, pd.errors.ParserError)
    with told_as(SectionError, "not a whole table of positions", *wrong, where=path):
        frame = pd.read_csv(io.BytesIO(text), sep=separator, decimal="," if separator == ";" else ".")
    if not set(_NEEDED) <= set(frame.columns):
        frame.columns = frame.columns.str.strip().str.lower()
    missing = [column for column in _NEEDED if column not in frame.columns]
    if missing:
        raise SectionError(
            f"no column {', '.join(missing)}", where=path, remedy=f"the columns must be {' '.join(_NEEDED)}"
        )
    known = np.isfinite(frame[list(_NEEDED)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64))
    if 2 * known.all(axis=1).sum() > len(frame):  # single others are found to have no position
        frame = frame[known.all(axis=1)]
    listed = {f"{round(x)}x{round(y)}" for x, y in _numbers(frame, ["x", "y"], path)}
    if "selected" in frame.columns:
        frame = frame[frame["selected"] == 1]
    if frame.empty:
        raise SectionError("the section is empty: no spot is selected", where=path)
    adjusted = {"new_x", "new_y"} <= set(frame.columns)
    array = _numbers(frame, ["new_x", "new_y"] if adjusted else ["x", "y"], path)
    centres = _numbers(frame, ["pixel_y", "pixel_x"], path)
    spots = [f"{round(x)}x{round(y)}" for x, y in _numbers(frame, ["x", "y"], path)]
    if twice := repeated(spots):
        raise SectionError(
            f"spots listed twice: {examples(twice)}", where=path, remedy="keep one line per spot"
        )
    return spots, array, centres, listed


def _numbers(frame: Any, columns: list[str], path: Path) -> NDArray[np.float64]:
    values = frame[columns].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    broken = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(broken):
        lines = [str(frame.index[row] + 2) for row in broken]
        raise SectionError(f"no number in {' or '.join(columns)} on line {examples(lines)}", where=path)
    return np.asarray(values, dtype=np.float64)


def _join(
    counts: Counts, spots: list[str], listed: set[str], where: Path
) -> tuple[NDArray[np.intp], NDArray[np.intp], list[str]]:
    found = rows_among(counts.spots, spots)
    rows = np.flatnonzero(found >= 0)
    if not len(rows):
        raise no_join(counts, spots, where, "use counts and positions of the same section")
    warnings = []
    if idle := len(spots) - len(rows):
        warnings.append(f"{idle} of {len(spots)} selected positions have no counts and were left out")
    if lost := [spot for spot in counts.spots if spot not in listed]:
        warnings.append(f"{len(lost)} spots have counts but no position and were left out: {examples(lost)}")
    return rows, found[rows], warnings
