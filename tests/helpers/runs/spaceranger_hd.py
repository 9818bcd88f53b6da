"""Writing a simulated Visium HD run the way Space Ranger 3 and 4 do."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from histoscribe.errors import SettingError
from histoscribe.files import replacing
from runs import tenx
from runs.hd import BIN_UM, BINS_UM, HdRun

Layout = Literal["3", "4"]
_CELL_UM = 4.5
_NUCLEUS_UM = 2.5
_CORNERS = 12


def write_spaceranger_hd(
    run: HdRun, folder: str | PathLike[str], *, layout: Layout = "4", hires_px: int = 400
) -> None:
    """Write a run as Space Ranger's `outs`, atomically.

    Parameters
    ----------
    run : HdRun
        From `simulate_hd`.
    folder : path
        Becomes `outs`: `feature_slice.h5`, `binned_outputs/square_{002,008,016}um/` and `spatial/`.
    layout : {"3", "4"}
        "4" has `barcode_mappings.parquet` and `segmented_outputs/` too.
    hires_px : int
        Longest side of `tissue_hires_image.png`.

    Raises
    ------
    SettingError
        If there is no such layout.
    """
    if layout not in get_args(Layout):
        raise SettingError(f"there is no HD layout {layout!r}", remedy="use 3 or 4")
    with replacing(folder) as fresh:
        (fresh / "spatial").mkdir(parents=True)
        tenx.write_small_images(run.slide, fresh / "spatial", hires_px)
        tenx.write_cytassist_image(run.slide, fresh / "spatial")
        for bin_um in BINS_UM:
            _write_bins(run, fresh / "binned_outputs" / f"square_{bin_um:03d}um", bin_um, layout, hires_px)
        _write_feature_slice(run, fresh / "feature_slice.h5", layout)
        if layout == "4":
            _write_mappings(run, fresh / "barcode_mappings.parquet")
            _write_cells(run, fresh / "segmented_outputs", hires_px)


def cell_names(run: HdRun) -> list[str]:
    """Barcodes of the cells 1, 2, ..."""
    return [f"cellid_{number:09d}-1" for number in range(1, len(run.cell_centres) + 1)]


def _bin_names(rows: int, columns: int, bin_um: int) -> list[str]:
    return [f"s_{bin_um:03d}um_{row:05d}_{column:05d}-1" for row in range(rows) for column in range(columns)]


def _matrix(run: HdRun, counts: Any, barcodes: list[str], layout: str) -> tenx.Matrix:
    ids = [f"SIM{number:08d}" for number in range(1, len(run.genes) + 1)]
    return tenx.Matrix(counts, barcodes, ids, run.genes, f"{layout}.0.0", run.name, probes=True)


def _write_bins(run: HdRun, folder: Path, bin_um: int, layout: str, hires_px: int) -> None:
    import pandas as pd

    mpp = run.slide.mpp
    assert mpp is not None
    spatial = folder / "spatial"
    scale = {"microns_per_pixel": mpp, "bin_size_um": float(bin_um), "spot_diameter_fullres": bin_um / mpp}
    tenx.write_spatial(run.slide, spatial, hires_px, **scale)
    step = round(bin_um / BIN_UM)
    rows, columns = (side // step for side in run.extent)
    names = _bin_names(rows, columns, bin_um)
    counts, in_tissue = run.binned(bin_um)
    kept = np.flatnonzero(in_tissue)
    tenx.write_tenx_h5(
        _matrix(run, counts[kept], [names[place] for place in kept], layout),
        folder / "filtered_feature_bc_matrix.h5",
    )
    row, column = np.divmod(np.arange(rows * columns), columns)
    middle = (step - 1) / 2
    places = (
        np.column_stack([column * step + middle, row * step + middle, np.ones(len(row))]) @ run.to_pixels.T
    )
    columns_of = {
        "barcode": names, "in_tissue": in_tissue.astype(np.int64), "array_row": row, "array_col": column,
        "pxl_row_in_fullres": places[:, 1], "pxl_col_in_fullres": places[:, 0],
    }  # fmt: skip
    pd.DataFrame(columns_of).to_parquet(spatial / "tissue_positions.parquet")


def _write_feature_slice(run: HdRun, path: Path, layout: str) -> None:
    """One sparse image of 2 µm bins per gene, the bins on tissue, and where the grid lies on the slide."""
    import h5py

    by_gene = sparse.csc_array(run.counts)
    with h5py.File(path, "w") as file:
        about = {
            "sample_id": run.name,
            "sample_desc": "",
            "slide_name": "simulated",
            "nrows": run.extent[0],
            "ncols": run.extent[1],
            "spot_pitch": BIN_UM,
            "hd_layout_json": json.dumps({"file_format": "1.0", "transform": np.eye(3).ravel().tolist()}),
            "transform_matrices": {
                "spot_colrow_to_microscope_colrow": run.to_pixels.tolist(),
                "microscope_colrow_to_spot_colrow": np.linalg.inv(run.to_pixels).tolist(),
            },
        }
        file.attrs["filetype"] = "feature_slice"
        file.attrs["version"] = "0.1.0"
        file.attrs["metadata_json"] = json.dumps(about)
        tenx.write_features(_matrix(run, by_gene, [], layout), file.create_group("features"))
        slices = file.create_group("feature_slices")
        for gene in range(len(run.genes)):
            part = slice(by_gene.indptr[gene], by_gene.indptr[gene + 1])
            if part.stop > part.start:
                _write_coo(slices.create_group(str(gene)), run, by_gene.indices[part], by_gene.data[part])
        total = np.asarray(run.counts.sum(axis=1)).ravel()
        _write_coo(file.create_group("umis/total"), run, np.flatnonzero(total), total[total > 0])
        inside = np.flatnonzero(run.in_tissue)
        _write_coo(file.create_group("masks/filtered"), run, inside, np.ones(len(inside)))


def _write_coo(group: Any, run: HdRun, bins: NDArray[np.integer[Any]], values: NDArray[Any]) -> None:
    row, column = np.divmod(bins, run.extent[1])
    for name, content in (("row", row), ("col", column), ("data", values)):
        group.create_dataset(name, data=content.astype(np.uint32), maxshape=(None,), **tenx.PACKED)


def _write_mappings(run: HdRun, path: Path) -> None:
    import pandas as pd

    frame: dict[str, Any] = {}
    for bin_um in BINS_UM:
        which, _ = run.larger_bin(bin_um)
        step = round(bin_um / BIN_UM)
        names = _bin_names(run.extent[0] // step, run.extent[1] // step, bin_um)
        frame[f"square_{bin_um:03d}um"] = [names[place] for place in which]
    names = cell_names(run)
    frame["cell_id"] = [names[cell - 1] if cell else None for cell in run.cell_of]
    frame["in_nucleus"] = run.cell_of > 0
    frame["in_cell"] = run.cell_of > 0
    pd.DataFrame(frame).to_parquet(path)


def _write_cells(run: HdRun, folder: Path, hires_px: int) -> None:
    assert run.slide.mpp is not None
    tenx.write_spatial(run.slide, folder / "spatial", hires_px, microns_per_pixel=run.slide.mpp)
    cells = len(run.cell_centres)
    members = run.cell_of > 0
    pooling = sparse.csr_array(
        (np.ones(members.sum(), int), (run.cell_of[members] - 1, np.flatnonzero(members))),
        shape=(cells, len(run.cell_of)),
    )
    tenx.write_tenx_h5(
        _matrix(run, pooling @ run.counts, cell_names(run), "4"), folder / "filtered_feature_cell_matrix.h5"
    )
    for name, radius_um in (("cell", _CELL_UM), ("nucleus", _NUCLEUS_UM)):
        content = {"type": "FeatureCollection", "features": _outlines(run, radius_um)}
        (folder / f"{name}_segmentations.geojson").write_text(json.dumps(content), encoding="utf-8")


def _outlines(run: HdRun, radius_um: float) -> list[dict[str, Any]]:
    """Round cells as GeoJSON features in full-resolution pixels (x, y)."""
    assert run.slide.mpp is not None
    angles = np.arange(_CORNERS) * 2 * np.pi / _CORNERS
    circle = np.column_stack([np.cos(angles), np.sin(angles)]) * radius_um / run.slide.mpp
    circle = np.concatenate([circle, circle[:1]])
    return [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [(circle + centre[::-1]).round(3).tolist()]},
            "properties": {"cell_id": number},
        }
        for number, centre in enumerate(run.cell_centres, start=1)
    ]
