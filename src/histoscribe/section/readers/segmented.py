"""Sections of segmented cells, as Space Ranger 4 writes them beside the bins of Visium HD."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from histoscribe.errors import SectionError
from histoscribe.section.alignment import laid_on, opened
from histoscribe.section.describe import finished
from histoscribe.section.lattice import neighbour_distance
from histoscribe.section.model import Section
from histoscribe.section.readers.cells import CellOutlines, read_cells
from histoscribe.section.readers.spatial_folder import own_image, read_scales
from histoscribe.section.readers.tenx_h5 import read_tenx_h5
from histoscribe.section.readers.visium_hd import CELL_MATRIX, CELL_OUTLINES
from histoscribe.section.table import Counts, examples, spot_table
from histoscribe.slide import Slide


def open_segmented(
    folder: Path, *, slide: Slide | str | Path | None, patient: str | None, name: str
) -> Section:
    """Open `segmented_outputs`: one spot per cell, at its centre of area.

    `spot_um` is the median diameter of circles as large as the cells, `pitch_um` the median distance to the
    nearest cell; `obs["area_um2"]` has each cell's own area.

    Raises
    ------
    SectionError
        If a part is missing or damaged, or the parts do not belong together.
    """
    counts_path = folder / CELL_MATRIX
    counts = read_tenx_h5(counts_path)
    cells = read_cells(folder / CELL_OUTLINES)
    scales = read_scales(folder / "spatial")
    if scales.mpp is None:
        raise SectionError(
            "the µm per pixel are not stated",
            where=folder / "spatial" / "scalefactors_json.json",
            remedy="copy spatial/ of segmented_outputs from Space Ranger again",
        )
    rows, places, warnings = _joined(counts, cells, counts_path)
    centres, areas, mpp = cells.centres[places], cells.areas[places], scales.mpp
    beneath, doubts = own_image(folder / "spatial", scales)
    expected = None if beneath is None else beneath.shape
    if slide is not None:
        beneath, doubts = opened(slide), []
    alignment = None
    if beneath is not None:
        beneath, centres, mpp, alignment = laid_on(beneath, centres, mpp, expected=expected)
        doubts += alignment.warnings
    table = spot_table(counts, rows, centres)
    table.obs["area_um2"] = areas * scales.mpp**2
    return finished(
        table,
        kind="measured",
        name=name,
        patient=patient,
        slide=beneath,
        mpp=mpp,
        spot_um=float(2 * np.sqrt(np.median(table.obs["area_um2"]) / np.pi)),
        pitch_um=neighbour_distance(centres) * mpp,
        warnings=(*counts.warnings, *warnings, *doubts),
        alignment=alignment,
    )


def _joined(counts: Counts, cells: CellOutlines, where: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Rows of the counts and of the outlines that belong together, by barcode."""
    place = {barcode: row for row, barcode in enumerate(cells.barcodes)}
    found = np.array([place.get(spot, -1) for spot in counts.spots], dtype=np.intp)
    lost = [counts.spots[row] for row in np.flatnonzero(found < 0)]
    if 2 * len(lost) > len(found):
        raise SectionError(
            f"{len(lost)} of {len(found)} cells with counts have no outline: {examples(lost)}",
            where=where,
            remedy="use counts and outlines of the same Space Ranger run",
        )
    kept = np.flatnonzero(found >= 0)
    warnings = (
        [f"{len(lost)} cells have counts but no outline and were left out: {examples(lost)}"] if lost else []
    )
    return kept, found[kept], warnings
