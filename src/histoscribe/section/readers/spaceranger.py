"""Sections from Space Ranger folders, versions 1 to 4: spots, and bins of Visium HD."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from histoscribe.errors import SectionError
from histoscribe.section.alignment import laid_on, opened
from histoscribe.section.describe import finished, section_name
from histoscribe.section.lattice import Spacing, free_spacing, square_spacing, visium_spacing
from histoscribe.section.model import Section
from histoscribe.section.readers.positions import Positions, join, read_positions
from histoscribe.section.readers.segmented import open_segmented
from histoscribe.section.readers.sliced import open_feature_slice, slice_file
from histoscribe.section.readers.spatial_folder import Scales, own_image, read_scales
from histoscribe.section.readers.tenx_h5 import read_tenx_h5
from histoscribe.section.readers.tenx_mtx import read_tenx_mtx
from histoscribe.section.readers.visium_hd import bin_folders, choose_part, holds_cells
from histoscribe.section.table import Counts, spot_table
from histoscribe.slide import Slide

PITCH_UM = 100.0
SPOT_UM = 55.0
SPOT_RATIO = (0.50, 0.72)
"""Bounds of spot diameter over pitch: 55 µm / 100 µm; Space Ranger itself writes about 65 / 100."""
SAME_MPP = 0.02
_MATRICES = ("filtered_feature_bc_matrix", "raw_feature_bc_matrix", "raw_probe_bc_matrix")
_POSITIONS = ("tissue_positions.csv", "tissue_positions_list.csv", "tissue_positions.parquet")


def open_space_ranger(
    folder: Path,
    *,
    slide: Slide | str | Path | None = None,
    patient: str | None = None,
    name: str | None = None,
    pitch_um: float | None = None,
    spot_um: float | None = None,
    bin_um: float | None = None,
) -> Section:
    """Open a Space Ranger folder: counts, positions, and an image that fits them.

    Parameters
    ----------
    folder : Path
        The run's folder, its `outs/`, or one `square_XXXum/` or `segmented_outputs/` folder of Visium HD. A
        run without folders of bins is read from its `feature_slice.h5`.
    slide : Slide or path, optional
        The full-resolution image; without it the folder's own reduced image is used.
    patient, name : str, optional
        The folder's name where not given.
    pitch_um, spot_um : float, optional
        100 and 55 µm where not given; the bin size on Visium HD.
    bin_um : float, optional
        Which bins of a Visium HD run: 8 µm where not given, else the finest.

    Raises
    ------
    SectionError
        If a part is missing or damaged, or the parts do not belong together.
    """
    if folder.name == "spatial" and not (folder / "spatial").is_dir():
        folder = folder.resolve().parent
    root = folder / "outs" if (folder / "outs").is_dir() and not (folder / "spatial").is_dir() else folder
    sliced = slice_file(root)
    if sliced is not None and not bin_folders(root) and not _has_counts(root):
        return open_feature_slice(sliced, slide=slide, patient=patient, name=name, bin_um=bin_um)
    root = choose_part(root, bin_um)
    name = name or section_name(root)
    if holds_cells(root):
        return open_segmented(root, slide=slide, patient=patient, name=name)
    counts, counts_path = _read_counts(root)
    positions_path = _positions_path(root / "spatial")
    positions = read_positions(positions_path)
    rows, of_positions, doubts = join(counts, positions, counts_path)
    scales = read_scales(root / "spatial")
    pitch = pitch_um or scales.bin_um or PITCH_UM
    spacing = _spacing(positions, scales, pitch, positions_path)
    warnings = [*counts.warnings, *doubts, *spacing.warnings]
    if scales.bin_um is None and pitch == PITCH_UM:
        warnings += _spot_doubts(scales, spacing)

    own, own_doubts = own_image(root / "spatial", scales)
    centres, mpp = positions.centres[of_positions], spacing.mpp
    beneath = own if slide is None else opened(slide)
    if slide is None:
        warnings += own_doubts
    alignment = None
    if beneath is not None:
        expected = None if own is None else own.shape
        beneath, centres, mpp, alignment = laid_on(beneath, centres, mpp, expected=expected)
        warnings += alignment.warnings
    table = spot_table(counts, rows, centres)
    for axis, column in enumerate(("array_row", "array_col")):
        table.obs[column] = positions.array[of_positions, axis].astype(np.int64)
    return finished(
        table,
        kind="measured",
        name=name,
        patient=patient,
        slide=beneath,
        mpp=mpp,
        spot_um=spot_um or scales.bin_um or SPOT_UM,
        pitch_um=spacing.pitch_um,
        warnings=tuple(warnings),
        alignment=alignment,
    )


def _has_counts(root: Path) -> bool:
    return any(True for stem in _MATRICES for _ in root.glob(f"*{stem}*"))


def _read_counts(root: Path) -> tuple[Counts, Path]:
    for stem in _MATRICES:
        files = sorted(root.glob(f"*{stem}.h5"))
        if len(files) > 1:
            names = ", ".join(path.name for path in files)
            raise SectionError(f"several matrices ({names})", where=root, remedy="keep one sample per folder")
        if files:
            return read_tenx_h5(files[0]), files[0]
        if (root / stem).is_dir():
            return read_tenx_mtx(root / stem), root / stem
    raise SectionError(
        "there are no counts",
        where=root,
        remedy="add filtered_feature_bc_matrix.h5, or the folder of that name, from Space Ranger",
    )


def _positions_path(spatial: Path) -> Path:
    for name in _POSITIONS:
        if (spatial / name).is_file():
            return spatial / name
    raise SectionError(
        "there are no spot positions",
        where=spatial,
        remedy=f"add {' or '.join(_POSITIONS)} from Space Ranger",
    )


def _spacing(positions: Positions, scales: Scales, pitch_um: float, where: Path) -> Spacing:
    if scales.bin_um is not None and scales.mpp is not None:
        found = square_spacing(positions.array, positions.centres, pitch_um)
        doubts: tuple[str, ...] = ()
        if found is not None and abs(found.mpp / scales.mpp - 1) > SAME_MPP:
            doubts = (
                f"the scale factors state {scales.mpp:.4g} µm per pixel, the bins' lattice says "
                f"{found.mpp:.4g}: positions and scale factors of different runs?",
            )
        return Spacing(scales.mpp, pitch_um, doubts)
    lattice = visium_spacing if scales.bin_um is None else square_spacing
    spacing = lattice(positions.array, positions.centres, pitch_um) or free_spacing(
        positions.centres, pitch_um
    )
    if spacing is None:
        raise SectionError(
            "the µm per pixel cannot be told: fewer than two spots at different places",
            where=where,
            remedy="copy the positions from Space Ranger again",
        )
    return spacing


def _spot_doubts(scales: Scales, spacing: Spacing) -> list[str]:
    if scales.spot_px is None:
        return []
    ratio = scales.spot_px * spacing.mpp / spacing.pitch_um
    if SPOT_RATIO[0] <= ratio <= SPOT_RATIO[1]:
        return []
    return [
        f"spot_diameter_fullres ({scales.spot_px:.1f} pixels) would be {scales.spot_px * spacing.mpp:.0f} µm "
        f"by the spots' lattice, not {SPOT_UM:g} to 65: positions and scale factors of different runs?"
    ]
