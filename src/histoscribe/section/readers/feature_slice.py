"""One gene of a Visium HD run from `feature_slice.h5`, without reading the matrix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SectionError, TableError
from histoscribe.section.bounds.hdf5 import hdf5_part, opened_hdf5

FINEST_UM = 2.0
MOST_BINS = 100_000_000
"""The largest capture area today has 3,350 × 3,350 bins of 2 µm."""
_REMEDY = "copy feature_slice.h5 from Space Ranger again"


def slice_genes(path: Path) -> list[str]:
    """Gene symbols of a `feature_slice.h5`, in its own order.

    Raises
    ------
    SectionError
        If the file is damaged, or another kind of file.
    """
    with opened_hdf5(path, whole=False) as file:
        return names_of(file, "name", path)


def read_feature_slice(path: Path, gene: str, *, bin_um: float = 8.0) -> NDArray[np.float32]:
    """Read one gene as an image over the capture area.

    Parameters
    ----------
    path : Path
        `feature_slice.h5` of Space Ranger 3 or later.
    gene : str
        Symbol or identifier; symbols that occur more than once are added up.
    bin_um : float
        Side of the bins: a multiple of 2 µm.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        Counts by `array_row` and `array_col` of the bins of that size; NaN off the tissue.

    Raises
    ------
    TableError
        If the file has no such gene.
    SectionError
        If the file is damaged, or the bin size is no multiple of 2 µm.
    """
    step = bins_per_side(bin_um, path)
    with opened_hdf5(path, whole=False) as file:
        if "feature_slices" not in file:
            raise SectionError("this is no feature_slice.h5", where=path, remedy=_REMEDY)
        extent = extent_of(file, path)
        names, ids = names_of(file, "name", path), names_of(file, "id", path)
        found = [index for index, known in enumerate(zip(names, ids, strict=False)) if gene in known]
        if not found:
            raise TableError(f"there is no gene {gene!r}", where=path, remedy=_nearest(gene, names))
        shape = (-(-extent[0] // step), -(-extent[1] // step))
        image = np.zeros(shape[0] * shape[1])
        for index in found:
            part = hdf5_part(file, f"feature_slices/{index}", path)
            if part is not None:
                bins, values = sparse_bins(part, extent, step, path)
                image += np.bincount(bins, weights=values, minlength=len(image))
        mask = hdf5_part(file, "masks/filtered", path)
        if mask is not None:
            bins, values = sparse_bins(mask, extent, step, path)
            image[np.bincount(bins, weights=values, minlength=len(image)) == 0] = np.nan
    return image.reshape(shape).astype(np.float32)


def bins_per_side(bin_um: float, path: Path) -> int:
    """How many bins of 2 µm lie along a side of a larger one.

    Raises
    ------
    SectionError
        If the size is no multiple of 2 µm.
    """
    step = round(bin_um / FINEST_UM)
    if step < 1 or abs(step * FINEST_UM - bin_um) > 1e-6:
        raise SectionError(
            f"bins of {bin_um:g} µm cannot be made", where=path, remedy="choose a multiple of 2 µm"
        )
    return step


def extent_of(file: Any, path: Path) -> tuple[int, int]:
    """Rows and columns of 2 µm bins, from the metadata."""
    try:
        about = json.loads(file.attrs["metadata_json"])
        rows, columns = int(about["nrows"]), int(about["ncols"])
    except (KeyError, TypeError, ValueError) as error:
        raise SectionError("does not say how many bins it has", where=path, remedy=_REMEDY) from error
    if min(rows, columns) < 1 or rows * columns > MOST_BINS:
        raise SectionError(f"claims {rows} × {columns} bins", where=path, remedy=_REMEDY)
    return rows, columns


def sparse_bins(
    group: Any, extent: tuple[int, int], step: int, path: Path
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Flat bin numbers, row by row of the larger bins, and values."""
    import h5py

    parts = [group[name] for name in ("row", "col", "data") if name in group]
    if len(parts) < 3 or not all(isinstance(part, h5py.Dataset) and part.ndim == 1 for part in parts):
        raise SectionError(f"{group.name} has no row, col and data", where=path, remedy=_REMEDY)
    if len({part.size for part in parts}) > 1 or parts[0].size > extent[0] * extent[1]:
        sizes = ", ".join(str(part.size) for part in parts)
        raise SectionError(f"row, col and data of {group.name} differ ({sizes})", where=path, remedy=_REMEDY)
    if any(part.dtype.kind not in "iufb" for part in parts):
        raise SectionError(f"{group.name} holds something that is no number", where=path, remedy=_REMEDY)
    row, column = (part[:].astype(np.int64) for part in parts[:2])
    values = parts[2][:].astype(np.float64)
    if len(row) and (min(row.min(), column.min()) < 0 or row.max() >= extent[0] or column.max() >= extent[1]):
        raise SectionError(
            f"{group.name} reaches beyond its {extent[0]} × {extent[1]} bins", where=path, remedy=_REMEDY
        )
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise SectionError(f"{group.name} holds negative or missing counts", where=path, remedy=_REMEDY)
    return row // step * -(-extent[1] // step) + column // step, values


def names_of(file: Any, key: str, path: Path) -> list[str]:
    """What the file's list of genes says under `key`: `name`, `id` or `feature_type`."""
    import h5py

    names = hdf5_part(file, f"features/{key}", path)
    if not isinstance(names, h5py.Dataset) or names.ndim != 1:
        raise SectionError("this is no feature_slice.h5", where=path, remedy=_REMEDY)
    return [
        name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
        for name in names[:].tolist()
    ]


def _nearest(gene: str, names: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(gene, names, n=3)
    return f"did you mean {' or '.join(near)}" if near else "check the spelling"
