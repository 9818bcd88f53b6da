"""Writing a section the way Space Ranger does, in its layouts of version 1 and of version 2 and later."""

from __future__ import annotations

import gzip
import io
import json
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from histoscribe.errors import SectionError, SettingError
from histoscribe.files import replacing
from histoscribe.section import Section
from histoscribe.section.coordinates import flip
from histoscribe.simulate.section import barcode

Layout = Literal["1", "2"]
Matrix = Literal["h5", "mtx"]
_COLUMNS = "barcode,in_tissue,array_row,array_col,pxl_row_in_fullres,pxl_col_in_fullres"


def write_spaceranger(
    section: Section,
    folder: str | PathLike[str],
    *,
    layout: Layout = "2",
    matrix: Matrix = "h5",
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
    layout : {"1", "2"}
        "1": `tissue_positions_list.csv`, no header, whole pixels; "2": `tissue_positions.csv` with header.
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
    if layout not in ("1", "2") or matrix not in ("h5", "mtx"):
        raise SettingError(
            f"there is no layout {layout!r} with matrix {matrix!r}", remedy="use 1 or 2 with h5 or mtx"
        )
    if section.slide is None or not {"array_row", "array_col"} <= set(section.table.obs.columns):
        raise SectionError(
            "a Space Ranger folder needs a slide and array positions",
            where=section.name,
            remedy="write it as h5ad instead",
        )
    with replacing(folder) as fresh:
        spatial = fresh / "spatial"
        spatial.mkdir(parents=True)
        scale = _write_images(section, spatial, hires_px)
        factors = {
            "tissue_hires_scalef": scale,
            "tissue_lowres_scalef": scale / 3,
            "spot_diameter_fullres": section.spot_um / section.mpp,
            "fiducial_diameter_fullres": section.spot_um * 1.6 / section.mpp,
        }
        (spatial / "scalefactors_json.json").write_text(json.dumps(factors), encoding="utf-8")
        _write_positions(section, spatial, layout)
        if matrix == "h5":
            _write_h5(section, fresh / "filtered_feature_bc_matrix.h5", layout)
        else:
            _write_mtx(section, fresh / "filtered_feature_bc_matrix")


def _write_images(section: Section, spatial: Path, hires_px: int) -> float:
    """Write both small images; returns pixels of the larger per full-resolution pixel."""
    from PIL import Image

    assert section.slide is not None
    finest = Image.fromarray(np.asarray(section.slide.levels[0].pixels[:]))
    scale = hires_px / max(finest.size)
    for name, factor in (("hires", scale), ("lowres", scale / 3)):
        size = (round(finest.width * factor), round(finest.height * factor))
        small = finest.resize(size, Image.Resampling.BOX)
        small.save(spatial / f"tissue_{name}_image.png", optimize=True)
    return scale / section.slide.levels[0].downsample


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
    for name, tissue, (row, column), (pixel_row, pixel_column) in zip(
        names, inside, places, pixels, strict=True
    ):
        where = (
            f"{round(pixel_row)},{round(pixel_column)}"
            if layout == "1"
            else f"{pixel_row:.10g},{pixel_column:.10g}"
        )
        lines.append(f"{name},{tissue},{row},{column},{where}")
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


def _features(section: Section) -> tuple[list[str], list[str]]:
    """Identifiers and names of the genes; identifiers are made up unless `var["gene_ids"]` has them."""
    var = section.table.var
    made_up = [f"SIM{number:08d}" for number in range(1, len(var) + 1)]
    return list(var["gene_ids"]) if "gene_ids" in var else made_up, section.genes


def _write_h5(section: Section, path: Path, layout: Layout) -> None:
    import h5py

    counts = sparse.csr_array(section.table.X)
    identifiers, names = _features(section)

    def text(values: list[str]) -> NDArray[Any]:
        return np.array([value.encode() for value in values])

    with h5py.File(path, "w") as file:
        file.attrs["filetype"] = "matrix"
        file.attrs["version"] = 2
        file.attrs["software_version"] = f"spaceranger-{layout}.0.0 (simulated by histoscribe)"
        group = file.create_group("matrix")
        pack = {"compression": "gzip", "compression_opts": 6, "shuffle": True}
        group.create_dataset("barcodes", data=text(list(section.table.obs_names)), **pack)
        group.create_dataset("data", data=counts.data.astype(np.int32), **pack)
        group.create_dataset("indices", data=counts.indices.astype(np.int64), **pack)
        group.create_dataset("indptr", data=counts.indptr.astype(np.int64), **pack)
        group.create_dataset("shape", data=np.array(counts.shape[::-1], dtype=np.int32))
        features = group.create_group("features")
        features.create_dataset("id", data=text(identifiers), **pack)
        features.create_dataset("name", data=text(names), **pack)
        features.create_dataset("feature_type", data=text(["Gene Expression"] * len(names)), **pack)
        features.create_dataset("genome", data=text(["simulated"] * len(names)), **pack)
        features.create_dataset("_all_tag_keys", data=text(["genome"]))


def _write_mtx(section: Section, folder: Path) -> None:
    from scipy.io import mmwrite

    folder.mkdir()
    stream = io.BytesIO()
    mmwrite(stream, sparse.coo_array(section.table.X).T.astype(np.int32), field="integer")
    rows = zip(*_features(section), strict=True)
    contents = {
        "matrix.mtx.gz": stream.getvalue(),
        "barcodes.tsv.gz": "".join(f"{name}\n" for name in section.table.obs_names).encode(),
        "features.tsv.gz": "".join(f"{code}\t{name}\tGene Expression\n" for code, name in rows).encode(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(gzip.compress(content, mtime=0))
