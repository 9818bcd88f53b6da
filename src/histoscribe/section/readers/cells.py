"""Cells that Space Ranger 4 segments beside the bins of Visium HD, and those of Xenium: one spot a cell."""

import io
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from histoscribe.bounds.content import SMALL_TEXT_BYTES, read_bytes, read_json
from histoscribe.bounds.parquet import read_parquet
from histoscribe.errors import SectionError, told_as
from histoscribe.section.assembly import assemble, section_name
from histoscribe.section.model import Section, SectionOptions, flip
from histoscribe.section.readers.spatial_folder import file_in, own_image, read_scales, visible
from histoscribe.section.readers.tenx import read_tenx_h5, read_tenx_mtx
from histoscribe.section.readers.visium_hd import CELL_MATRIX, CELL_OUTLINES
from histoscribe.section.scale import SpotScale, cell_doubts, number_in
from histoscribe.section.table import Counts, examples, repeated, rows_among

CELL_CHARACTERS = (1 << 14, 1 << 20)
"""Text of one cell that is looked at first, and at most."""
MOST_CELLS = 5_000_000
XENIUM_MPP = 0.2125
"""Where the run does not state it."""
_XENIUM_MATRIX, _MANIFEST_BYTES = "cell_feature_matrix", 1 << 24
_AGAIN = "copy segmented_outputs from Space Ranger again"
_XENIUM, _WRONG = ["x_centroid", "y_centroid", "cell_area"], (ValueError, KeyError, OSError)
_SEPARATOR = re.compile(r"[\s,]*")


@dataclass(frozen=True, eq=False)
class CellOutlines:
    """What the outlines of all cells say."""

    barcodes: tuple[str, ...]
    """`cellid_000000001-1` and so on; unique."""
    centres: NDArray[np.float64]
    """Centres of area in full-resolution pixels as (row, column), shape (cells, 2)."""
    areas: NDArray[np.float64]
    """In full-resolution pixels, shape (cells,)."""


def read_cells(path: Path) -> CellOutlines:
    """Read `cell_segmentations.geojson`; memory grows with the file's text and not with its parts.

    Single cells without a usable outline are left out.
    Raises `SectionError` if it is missing, damaged, or lists a cell twice.
    """
    with told_as(SectionError, "not a GeoJSON file", UnicodeDecodeError, where=path, remedy=_AGAIN):
        text = read_bytes(path, SMALL_TEXT_BYTES).decode("utf-8")
    start = re.search(r'"features"\s*:\s*\[', text)
    if start is None:
        raise SectionError("not a GeoJSON file of cells", where=path, remedy=_AGAIN)
    numbers: list[int] = []
    shapes: list[tuple[float, float, float]] = []
    count, damaged = 0, []
    place = start.end()
    while True:
        separator = _SEPARATOR.match(text, place)
        place = place if separator is None else separator.end()
        if text[place : place + 1] == "]":
            break
        count += 1
        cut = f"cell {count} is damaged or the file is cut off"
        with told_as(SectionError, cut, ValueError, RecursionError, where=path, remedy=_AGAIN, reason=False):
            cell, used = _decoded(text, place)
        place += used
        try:
            number, shape = int(cell["properties"]["cell_id"]), _shape(cell["geometry"])
        except (ValueError, TypeError, KeyError, IndexError, OverflowError):
            damaged.append(count)
            continue
        numbers.append(number)
        shapes.append(shape)
        if len(numbers) > MOST_CELLS:
            raise SectionError(f"holds more than {MOST_CELLS:,} cells", where=path)
    if 2 * len(damaged) > count:
        problem = f"cell {damaged[0]} is damaged, as are {len(damaged)} of {count}"
        raise SectionError(problem, where=path, remedy=_AGAIN)
    barcodes = [f"cellid_{number:09d}-1" for number in numbers]
    if not barcodes:
        raise SectionError("holds no cell", where=path, remedy=_AGAIN)
    if twice := repeated(barcodes):
        raise SectionError(f"cells listed twice: {examples(twice)}", where=path, remedy=_AGAIN)
    found = np.array(shapes, dtype=np.float64)
    return CellOutlines(tuple(barcodes), found[:, :2], found[:, 2])


def _decoded(text: str, place: int) -> tuple[Any, int]:
    """One value of the JSON text that starts at `place`, and its length."""
    decoder = json.JSONDecoder()
    try:
        return decoder.raw_decode(text[place : place + CELL_CHARACTERS[0]])
    except ValueError:
        return decoder.raw_decode(text[place : place + CELL_CHARACTERS[1]])


def _shape(geometry: dict[str, Any]) -> tuple[float, float, float]:
    """Row and column of the centre of area, and the area, of a cell's (largest) outline."""
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    if geometry["type"] not in ("Polygon", "MultiPolygon"):
        raise ValueError("not an area")
    rings = [np.asarray(polygon[0], dtype=np.float64) for polygon in polygons]
    if any(ring.ndim != 2 or len(ring) < 3 or not np.isfinite(ring).all() for ring in rings):
        raise ValueError("not an outline")
    cell = max((shapely.Polygon(ring[:, :2]) for ring in rings), key=lambda each: each.area)
    return cell.centroid.y, cell.centroid.x, cell.area


def open_segmented(folder: Path, options: SectionOptions) -> Section:
    """Open `segmented_outputs`: one spot per cell, at its centre of area.

    `spot_um` is the median diameter of circles as large as the cells, `pitch_um` None; `obs["area_um2"]`
    has each cell's own area. Raises `SectionError` if a part is missing or damaged, or the parts do not
    belong together.
    """
    counts_path = file_in(folder, CELL_MATRIX) or folder / CELL_MATRIX
    counts = read_tenx_h5(counts_path)
    cells = read_cells(file_in(folder, CELL_OUTLINES) or folder / CELL_OUTLINES)
    scales = read_scales(folder / "spatial")
    if scales.mpp is None:
        problem = "the µm per pixel are not stated"
        remedy = "copy spatial/ of segmented_outputs from Space Ranger again"
        raise SectionError(problem, where=folder / "spatial" / "scalefactors_json.json", remedy=remedy)
    return _laid_out(counts, cells, scales.mpp, counts_path, options, own_image(folder / "spatial", scales))


def open_xenium(path: Path, options: SectionOptions) -> Section:
    """Open a Xenium output folder, or the `experiment.xenium` in it: one spot per cell.

    Cells are laid on a slide by the folder's `*imagealignment.csv`, as Xenium Explorer writes it. Raises
    `SectionError` if a part is missing or damaged, or the parts do not belong together.
    """
    folder = path if path.is_dir() else path.parent
    mpp = _xenium_mpp(folder)
    counts, counts_path = _xenium_counts(folder)
    listed = file_in(folder, "cells.csv", "cells.parquet") or folder / "cells.parquet"
    with told_as(SectionError, "not a whole table of cells", *_WRONG, where=listed, remedy="copy it again"):
        if listed.suffix == ".parquet":
            table: Any = read_parquet(listed, ["cell_id", *_XENIUM], most_rows=MOST_CELLS)
        else:
            content = io.BytesIO(read_bytes(listed, SMALL_TEXT_BYTES))
            table = pd.read_csv(content, dtype={"cell_id": str})
        table.index = [each.decode() if isinstance(each, bytes) else str(each) for each in table["cell_id"]]
        found = table[_XENIUM].astype(np.float64).reindex(list(counts.spots)).dropna()
    places = found.to_numpy()[:, :2] / mpp
    aligned = file_in(folder, "he_imagealignment.csv", "imagealignment.csv")
    if options.slide is not None and aligned is not None:
        with told_as(SectionError, "not an alignment", ValueError, where=aligned, remedy="export it again"):
            to_xenium = np.loadtxt(io.BytesIO(read_bytes(aligned, 1 << 16)), delimiter=",")
            if to_xenium.shape != (3, 3) or not np.allclose(to_xenium[2], [0, 0, 1]):
                raise ValueError("its last of 3 lines is not 0, 0, 1")
            to_slide = np.linalg.inv(to_xenium)[:2]  # a LinAlgError is a ValueError
        places = places @ to_slide[:, :2].T + to_slide[:, 2]
        mpp /= float(np.sqrt(abs(np.linalg.det(to_slide[:, :2]))))
    elif options.slide is not None:
        if (landmarks := file_in(folder, "he_keypoints.csv", "keypoints.csv")) is not None:
            problem = "these are landmarks, not the alignment that was found by them"
            remedy = "export the image alignment (*imagealignment.csv) from Xenium Explorer beside them"
            raise SectionError(problem, where=landmarks, remedy=remedy)
        said = "there is no *imagealignment.csv: its slide was taken to lie as Xenium's own image does"
        counts = replace(counts, warnings=(*counts.warnings, said))
    cells = CellOutlines(tuple(found.index), flip(places), found["cell_area"].to_numpy() / mpp**2)
    return _laid_out(counts, cells, mpp, counts_path, options, (None, ["there is no image"]))


def _xenium_mpp(folder: Path) -> float:
    """µm per pixel as the run's manifest states it; the usual one where it does not."""
    manifest = folder / "experiment.xenium"
    if not manifest.is_file():
        return XENIUM_MPP
    about = read_json(manifest, _MANIFEST_BYTES, SectionError, "copy it again")
    return number_in(about, "pixel_size", manifest) or XENIUM_MPP


def _xenium_counts(folder: Path) -> tuple[Counts, Path]:
    """The counts as HDF5 or as a matrix-market folder, and where they lie."""
    if (packed := file_in(folder, f"{_XENIUM_MATRIX}.h5")) is not None:
        return read_tenx_h5(packed), packed
    unpacked = folder / _XENIUM_MATRIX
    if file_in(unpacked, "matrix.mtx") is not None:
        return read_tenx_mtx(unpacked), unpacked
    others = [each.name for each in visible(folder, f"{_XENIUM_MATRIX}*")]
    held = f", only {examples(others)}, which is not read" if others else ""
    archive = next((name for name in others if name.endswith((".tar", ".tar.gz", ".tgz"))), None)
    remedy = (
        f"unpack {archive}" if archive else f"copy {_XENIUM_MATRIX}.h5, or the folder of that name, there"
    )
    problem = f"there is no {_XENIUM_MATRIX}.h5{held}"
    raise SectionError(problem, where=folder, remedy=remedy)


def _laid_out(
    counts: Counts, cells: CellOutlines, mpp: float, where: Path, options: SectionOptions, image: Any
) -> Section:
    """The section of cells and of their counts, which the file `where` holds; `image`: as for `assemble`."""
    rows, places, warnings = _joined(counts, cells, where)
    areas = cells.areas[places] * mpp**2
    wide = float(2 * np.sqrt(np.median(areas) / np.pi))
    scale = SpotScale(mpp, None, wide, (*warnings, *cell_doubts(wide)))
    obs, name = {"area_um2": areas}, section_name(where.parent)
    return assemble(counts, rows, cells.centres[places], scale, options, name=name, image=image, obs=obs)


def _joined(counts: Counts, cells: CellOutlines, where: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Rows of the counts and of the outlines that belong together, by barcode."""
    found = rows_among(counts.spots, cells.barcodes)
    lost = [counts.spots[row] for row in np.flatnonzero(found < 0)]
    if 2 * len(lost) > len(found):
        problem = f"{len(lost)} of {len(found)} cells with counts have no outline: {examples(lost)}"
        remedy = "use counts and outlines of the same run"
        raise SectionError(problem, where=where, remedy=remedy)
    kept = np.flatnonzero(found >= 0)
    said = f"{len(lost)} cells have counts but no outline and were left out: {examples(lost)}"
    return kept, found[kept], [said] if lost else []
