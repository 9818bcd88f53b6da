"""Sections from Space Ranger folders, versions 1 to 4: spots, and bins of Visium HD."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoscribe.errors import SectionError
from histoscribe.section.assembly import assemble, section_name
from histoscribe.section.lattice import (
    Spacing,
    free_spacing,
    mirror_doubts,
    square_spacing,
    unit_vectors,
    visium_spacing,
)
from histoscribe.section.model import Section, SectionOptions
from histoscribe.section.readers.cells import open_segmented
from histoscribe.section.readers.feature_slice import NAME, open_feature_slice, slice_file
from histoscribe.section.readers.positions import COLUMNS, join, read_positions
from histoscribe.section.readers.spatial_folder import (
    Scales,
    file_in,
    own_image,
    packed_in,
    read_scales,
    visible,
)
from histoscribe.section.readers.tenx import read_tenx_h5, read_tenx_mtx
from histoscribe.section.readers.visium_hd import bin_folders, choose_part, holds_cells, named_bin_um
from histoscribe.section.scale import PITCH_UM, REFUSED, SPOT_UM, SpotScale, spot_doubts
from histoscribe.section.table import Counts

SAME_MPP = 0.02
_OTHER_RUNS = ": positions and scale factors of different runs?"
_ROUNDED = 1.0
"""Pixels that positions differ by where one version of Space Ranger rounds them."""
_MATRICES = ("filtered_feature_bc_matrix", "raw_feature_bc_matrix", "raw_probe_bc_matrix")
_POSITIONS = ("tissue_positions.csv", "tissue_positions_list.csv", "tissue_positions.parquet")


def open_space_ranger(folder: Path, options: SectionOptions) -> Section:
    """Open a Space Ranger folder: counts, positions, and an image that fits them.

    `folder`: the run's folder, its `outs/`, or one `square_XXXum/` or `segmented_outputs/` folder of Visium
    HD. A run without folders of bins is read from its `feature_slice.h5`. `options`: without a slide the
    folder's own reduced image is used; pitch and diameter are 100 and 55 µm, or the bin size on Visium HD; of
    several bin sizes 8 µm, else the finest. Raises `SectionError` if a part is missing or damaged, or the
    parts do not belong together.
    """
    if folder.name == "spatial" and not (folder / "spatial").is_dir():
        folder = folder.resolve().parent
    root = folder / "outs" if (folder / "outs").is_dir() and not (folder / "spatial").is_dir() else folder
    sliced = slice_file(root)
    counted = any(True for stem in _MATRICES for _ in root.glob(f"*{stem}*"))
    if sliced is not None and not bin_folders(root) and not counted:
        return open_feature_slice(sliced, options)
    root = choose_part(root, options.bin_um)
    if holds_cells(root):
        return open_segmented(root, options)
    counts, counts_path = _read_counts(root)
    flat = not (root / "spatial").is_dir() and file_in(root, *_POSITIONS) is not None
    spatial = root if flat else root / "spatial"
    positions_path = file_in(spatial, *_POSITIONS)
    if positions_path is None:
        remedy = packed_in(root) or f"add {' or '.join(_POSITIONS)} from Space Ranger"
        raise SectionError("there are no spot positions", where=spatial, remedy=remedy)
    positions, lost = read_positions(positions_path)
    _refuse_others(positions, positions_path, spatial)
    rows, of_positions, doubts = join(counts, positions, counts_path)
    scales = read_scales(spatial)
    sizes = {scales.bin_um, named_bin_um(counts.spots), options.bin_um} - {None}
    if len(sizes) > 1:
        problem = f"bins of {' and '.join(f'{size:g}' for size in sorted(filter(None, sizes)))} µm at once"
        remedy = "use counts and spatial/ of one bin size, the one that is asked for"
        raise SectionError(problem, where=root, remedy=remedy)
    scales = replace(scales, bin_um=next(iter(sizes), None))
    pitch = options.pitch_um or scales.bin_um or PITCH_UM
    array, centres = np.split(positions[list(COLUMNS[2:])].to_numpy(), 2, axis=1)
    spacing = _spacing(array, centres, scales, pitch, positions_path)
    warnings = [*lost, *doubts, *spacing.warnings]
    if scales.bin_um is None and pitch == PITCH_UM:
        reduced = {"hires": scales.hires, "lowres": scales.lowres}
        warnings += spot_doubts(scales.spot_px, spacing, reduced, positions_path)
    spot, array = options.spot_um or scales.bin_um or SPOT_UM, array[of_positions].astype(np.int64)
    return assemble(
        counts,
        rows,
        centres[of_positions],
        SpotScale(spacing.mpp, spacing.pitch_um, spot, tuple(warnings)),
        options,
        name=section_name(root),
        image=own_image(spatial, scales),
        obs={"array_row": array[:, 0], "array_col": array[:, 1]},
    )


def _refuse_others(positions: pd.DataFrame, path: Path, spatial: Path) -> None:
    """Refuse positions of another version of Space Ranger beside those that were read, unless they agree."""
    others = {file_in(spatial, name) for name in _POSITIONS} - {None, path}
    for other in filter(None, others):
        beside, _ = read_positions(other)
        shared = positions.index.intersection(beside.index)
        pixels = [table.loc[shared, list(COLUMNS[4:])].to_numpy() for table in (positions, beside)]
        if not len(shared) or np.abs(pixels[0] - pixels[1]).max() > _ROUNDED:
            problem = f"{path.name} and {other.name} contradict each other"
            raise SectionError(problem, where=spatial, remedy="keep the one that belongs to the counts")


def _read_counts(root: Path) -> tuple[Counts, Path]:
    for stem in _MATRICES:
        files = visible(root, f"*{stem}.h5") or visible(root, f"*{stem}.h5.gz")
        found = files or [path for path in visible(root, f"*{stem}") if path.is_dir()]
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise SectionError(f"several matrices ({names})", where=root, remedy="keep one sample per folder")
        if found:
            return (read_tenx_h5 if files else read_tenx_mtx)(found[0]), found[0]
    if file_in(root, "matrix.mtx") is not None:
        return read_tenx_mtx(root), root
    others = [path for path in visible(root, "*.h5") if not path.match(f"*{NAME}")]
    if len(others) == 1:
        return read_tenx_h5(others[0]), others[0]
    remedy = "add filtered_feature_bc_matrix.h5, or the folder of that name, from Space Ranger"
    raise SectionError("there are no counts", where=root, remedy=packed_in(root) or remedy)


def _spacing(
    array: NDArray[np.float64], centres: NDArray[np.float64], scales: Scales, pitch_um: float, where: Path
) -> Spacing:
    if scales.bin_um is not None and scales.mpp is not None:
        found = square_spacing(array, centres, pitch_um)
        doubts = tuple(mirror_doubts(unit_vectors(array, centres)))
        off = 0.0 if found is None else abs(found.mpp / scales.mpp - 1)
        if found is not None and off > REFUSED:
            remedy = "copy spatial/ of this bin size from Space Ranger again"
            raise SectionError(_unlike(scales.mpp, found.mpp), where=where, remedy=remedy)
        if found is not None and off > SAME_MPP:
            doubts += (_unlike(scales.mpp, found.mpp) + _OTHER_RUNS,)
        return Spacing(scales.mpp, pitch_um, doubts)
    lattice = visium_spacing if scales.bin_um is None else square_spacing
    spacing = lattice(array, centres, pitch_um)
    spacing = spacing or free_spacing(centres, pitch_um)
    if spacing is None:
        problem = "the µm per pixel cannot be told: fewer than two spots at different places"
        raise SectionError(problem, where=where, remedy="copy the positions from Space Ranger again")
    if scales.mpp is not None and abs(spacing.mpp / scales.mpp - 1) > SAME_MPP:
        doubt = _unlike(scales.mpp, spacing.mpp) + _OTHER_RUNS
        return replace(spacing, warnings=(*spacing.warnings, f"{doubt} The lattice was believed"))
    return spacing


def _unlike(stated: float, found: float) -> str:
    return f"the scale factors state {stated:.4g} µm per pixel, the lattice says {found:.4g}"
