"""Writing a section the way Space Ranger does, in the layouts of its versions 1 to 4."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SectionError, SettingError
from histoscribe.files import replacing
from histoscribe.section import Section
from histoscribe.section.model import flip
from histoscribe.simulate.section import barcode
from runs import tenx

Layout = Literal["1", "2", "3", "4"]
Form = Literal["h5", "mtx"]
PROBE_LAYOUTS = ("3", "4")
_COLUMNS = "barcode,in_tissue,array_row,array_col,pxl_row_in_fullres,pxl_col_in_fullres"


def write_spaceranger(
    section: Section,
    folder: str | PathLike[str],
    *,
    layout: Layout = "2",
    matrix: Form = "h5",
    hires_px: int = 600,
) -> None:
    """Write a section's counts, positions and small images as a Space Ranger output folder, atomically.

    Parameters
    ----------
    section : Section
        With a slide, `obs["array_row"]` and `obs["array_col"]`; the table's spots are those in tissue,
        the rest of the lattice is written as outside it.
    folder : path
        Becomes `outs`: `filtered_feature_bc_matrix(.h5)` and `spatial/`.
    layout : {"1", "2", "3", "4"}
        The major version. "1": `tissue_positions_list.csv`, no header, whole pixels; later
        `tissue_positions.csv` with header; from "3" as after CytAssist: `cytassist_image.tiff`,
        `probe_set.csv` and the probe set in the matrix.
    matrix : {"h5", "mtx"}
        One HDF5 file, or a folder of three compressed text files.
    hires_px : int
        Longest side of `tissue_hires_image.png`; the low-resolution image has a third of it.

    Raises
    ------
    SettingError
        If layout or matrix is none of these.
    SectionError
        If the section has no slide or no place on a lattice.
    """
    if layout not in get_args(Layout) or matrix not in get_args(Form):
        raise SettingError(
            f"there is no layout {layout!r} with matrix {matrix!r}", remedy="use 1, 2, 3 or 4 with h5 or mtx"
        )
    if section.slide is None or not {"array_row", "array_col"} <= set(section.table.obs.columns):
        raise SectionError(
            "a Space Ranger folder needs a slide and array positions",
            where=section.name,
            remedy="write it as h5ad instead",
        )
    probes = layout in PROBE_LAYOUTS
    var = section.table.var
    made_up = [f"SIM{number:08d}" for number in range(1, len(var) + 1)]
    ids = list(var["gene_ids"]) if "gene_ids" in var else made_up
    counts = tenx.Matrix(
        section.table.X, list(section.table.obs_names), ids, section.genes, f"{layout}.0.0", section.name,
        probes,
    )  # fmt: skip
    with replacing(folder) as fresh:
        spatial = fresh / "spatial"
        spot = section.spot_um / section.mpp
        sizes = {
            "spot_diameter_fullres": spot,
            "fiducial_diameter_fullres": section.spot_um * 1.6 / section.mpp,
        }
        tenx.write_spatial(section.slide, spatial, hires_px, **sizes)
        _write_positions(section, spatial, layout)
        if matrix == "h5":
            tenx.write_tenx_h5(counts, fresh / "filtered_feature_bc_matrix.h5")
        else:
            tenx.write_tenx_mtx(counts, fresh / "filtered_feature_bc_matrix")
        if probes:
            tenx.write_cytassist_image(section.slide, spatial)
            rows = [
                f"{code},{'ACGT' * 12}AC,{code}|{name}|0000000,TRUE,spliced"
                for code, name in zip(counts.ids, counts.genes, strict=True)
            ]
            lines = [f"#panel_name={tenx.PROBE_SET}", "gene_id,probe_seq,probe_id,included,region", *rows]
            (fresh / "probe_set.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_positions(section: Section, spatial: Path, layout: Layout) -> None:
    obs = section.table.obs
    lattice = np.stack([obs["array_row"].to_numpy(), obs["array_col"].to_numpy()], axis=1).astype(int)
    centres = flip(section.table.obsm["spatial"])
    empty, empty_centres = _rest_of_lattice(lattice, centres)
    names = [*section.table.obs_names, *(barcode(int(row), int(column)) for row, column in empty)]
    inside = [1] * len(lattice) + [0] * len(empty)
    lines = [] if layout == "1" else [_COLUMNS]
    places = np.concatenate([lattice, empty])
    pixels = np.concatenate([centres, empty_centres])
    for name, tissue, (row, column), place in zip(names, inside, places, pixels, strict=True):
        down, along = map(round, place) if layout == "1" else (f"{value:.10g}" for value in place)
        lines.append(f"{name},{tissue},{row},{column},{down},{along}")
    name = "tissue_positions_list.csv" if layout == "1" else "tissue_positions.csv"
    (spatial / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _rest_of_lattice(
    lattice: NDArray[np.intp], centres: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The places of the lattice without a spot, and where they lie, by a straight fit to those with one."""
    rows, columns = np.meshgrid(*(np.arange(end + 1) for end in lattice.max(axis=0)), indexing="ij")
    places = np.stack([rows, columns], axis=-1)[(rows + columns) % 2 == lattice[0].sum() % 2]
    taken = set(map(tuple, lattice.tolist()))
    empty = np.array([place for place in places.tolist() if tuple(place) not in taken], dtype=np.intp)
    empty = empty.reshape(-1, 2)
    design = np.column_stack([lattice, np.ones(len(lattice))])
    fit = np.linalg.lstsq(design, centres, rcond=None)[0]
    return empty, np.asarray(np.column_stack([empty, np.ones(len(empty))]) @ fit, dtype=np.float64)
