"""Visium HD runs from `feature_slice.h5` alone: one gene, or all, in bins of any size that 2 µm make up."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from histoscribe.arrays import Numbers
from histoscribe.bounds.hdf5 import hdf5_part, opened_hdf5
from histoscribe.bulk.layouts import GENE_EXPRESSION
from histoscribe.errors import SectionError
from histoscribe.progress import Progress
from histoscribe.section.assembly import assemble, section_name
from histoscribe.section.lattice import square_spacing
from histoscribe.section.model import Section, SectionOptions
from histoscribe.section.readers.spatial_folder import own_image, read_scales
from histoscribe.section.readers.tenx import MOST_ENTRIES, gene_expression, texts
from histoscribe.section.readers.visium_hd import BIN_UM, bin_folders
from histoscribe.section.scale import SpotScale
from histoscribe.section.table import no_gene
from histoscribe.slide import Slide

FINEST_UM = 2.0
MOST_BINS = 100_000_000
"""The largest capture area today has 3,350 × 3,350 bins of 2 µm."""
_REMEDY = "copy feature_slice.h5 from Space Ranger again"
NAME = "feature_slice.h5"
_MASK = "masks/filtered"
_TO_IMAGE = "spot_colrow_to_microscope_colrow"


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
    step = _bins_per_side(bin_um, path)
    with opened_hdf5(path, whole=False) as file:
        if "feature_slices" not in file:
            raise _refused("this is no feature_slice.h5", path)
        extent = _extent_of(file, path)
        names, ids = _names_of(file, "name", path), _names_of(file, "id", path)
        found = [index for index, known in enumerate(zip(names, ids, strict=False)) if gene in known]
        if not found:
            raise no_gene(gene, names, path)
        shape = (-(-extent[0] // step), -(-extent[1] // step))
        image = np.zeros(shape[0] * shape[1])
        for index in found:
            bins, values = _sparse_bins(file, f"feature_slices/{index}", extent, step, path)
            image += np.bincount(bins, weights=values, minlength=len(image))
        if _MASK in file:
            bins, values = _sparse_bins(file, _MASK, extent, step, path)
            image[np.bincount(bins, weights=values, minlength=len(image)) == 0] = np.nan
    return image.reshape(shape).astype(np.float32)


def _bins_per_side(bin_um: float, path: Path) -> int:
    """How many bins of 2 µm lie along a side of a larger one.

    Raises `SectionError` if the size is no multiple of 2 µm.
    """
    step = round(bin_um / FINEST_UM)
    if step < 1 or abs(step * FINEST_UM - bin_um) > 1e-6:
        raise SectionError(
            f"bins of {bin_um:g} µm cannot be made", where=path, remedy="choose a multiple of 2 µm"
        )
    return step


def _extent_of(file: Any, path: Path) -> tuple[int, int]:
    """Rows and columns of 2 µm bins, from the metadata."""
    try:
        about = json.loads(file.attrs["metadata_json"])
        rows, columns = int(about["nrows"]), int(about["ncols"])
    except (KeyError, TypeError, ValueError) as error:
        raise _refused("does not say how many bins it has", path) from error
    if min(rows, columns) < 1 or rows * columns > MOST_BINS:
        raise _refused(f"claims {rows} × {columns} bins", path)
    return rows, columns


def _sparse_bins(
    file: Any, name: str, extent: tuple[int, int], step: int, path: Path
) -> tuple[Numbers, NDArray[np.float64]]:
    """Flat bin numbers, row by row of the larger bins, and values; none where there is no such group."""
    import h5py

    group = hdf5_part(file, name, path)
    if group is None:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    parts = [group[name] for name in ("row", "col", "data") if name in group]
    if len(parts) < 3 or not all(isinstance(part, h5py.Dataset) and part.ndim == 1 for part in parts):
        raise _refused(f"{group.name} has no row, col and data", path)
    if len({part.size for part in parts}) > 1 or parts[0].size > extent[0] * extent[1]:
        sizes = ", ".join(str(part.size) for part in parts)
        raise _refused(f"row, col and data of {group.name} differ ({sizes})", path)
    if any(part.dtype.kind not in "iufb" for part in parts):
        raise _refused(f"{group.name} holds something that is no number", path)
    row, column = (part[:].astype(np.int64) for part in parts[:2])
    values = parts[2][:].astype(np.float64)
    if len(row) and (min(row.min(), column.min()) < 0 or row.max() >= extent[0] or column.max() >= extent[1]):
        raise _refused(f"{group.name} reaches beyond its {extent[0]} × {extent[1]} bins", path)
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise _refused(f"{group.name} holds negative or missing counts", path)
    return row // step * -(-extent[1] // step) + column // step, values


def _names_of(file: Any, key: str, path: Path) -> list[str]:
    """What the file's list of genes says under `key`: `name`, `id` or `feature_type`."""
    import h5py

    names = hdf5_part(file, f"features/{key}", path)
    if not isinstance(names, h5py.Dataset) or names.ndim != 1:
        raise _refused("this is no feature_slice.h5", path)
    return texts(names)


def slice_file(folder: Path) -> Path | None:
    """The `feature_slice.h5` of a run's folder, with or without the sample's name before it."""
    found = sorted(folder.glob(f"*{NAME}"))
    return found[0] if len(found) == 1 else None


def open_feature_slice(
    path: Path, options: SectionOptions | None = None, progress: Progress | None = None
) -> Section:
    """Open all genes of a `feature_slice.h5` in bins on tissue.

    `path`: `feature_slice.h5` of Space Ranger 3 or later. `options`: `bin_um`: side of the bins, a multiple
    of 2 µm; 8 µm where not given. Without a slide the reduced image of the run that the file lies in. Raises
    `SectionError` if the file is damaged, or the bin size is no multiple of 2 µm; `Cancelled` if `progress`
    says so.
    """
    options = options or SectionOptions()
    bin_um = options.bin_um or BIN_UM
    step = _bins_per_side(bin_um, path)
    with opened_hdf5(path, whole=False) as file:
        extent, to_image = _extent_of(file, path), _to_image(file, path)
        across = -(-extent[1] // step)
        if _MASK not in file:
            raise _refused("does not say which bins lie on tissue", path)
        bins = np.unique(_sparse_bins(file, _MASK, extent, step, path)[0])
        names, ids = _names_of(file, "name", path), _names_of(file, "id", path)
        typed = hdf5_part(file, "features/feature_type", path) is not None
        kinds = _names_of(file, "feature_type", path) if typed else [GENE_EXPRESSION] * len(names)
        if not len(names) == len(ids) == len(kinds):
            raise _refused("its genes have unequal numbers of names", path)
        matrix = _counts(file, len(names), extent, step, bins, path, progress or Progress())
    places = np.column_stack([bins // across, bins % across])
    barcodes = [f"s_{round(bin_um):03d}um_{row:05d}_{column:05d}-1" for row, column in places]
    counts = gene_expression(matrix, barcodes, names, ids, kinds, path)
    finest = np.column_stack([places[:, ::-1] * step + (step - 1) / 2, np.ones(len(places))])
    mapped = finest @ to_image.T
    with np.errstate(divide="ignore", invalid="ignore"):
        centres = (mapped[:, :2] / mapped[:, 2:])[:, ::-1]
    known = bool(np.isfinite(centres).all())
    spacing = square_spacing(places.astype(np.float64), centres, bin_um) if known else None
    if spacing is None:
        raise _refused("its bins do not span the tissue", path)
    return assemble(
        counts,
        np.arange(len(bins)),
        centres,
        SpotScale(spacing.mpp, bin_um, bin_um, spacing.warnings),
        options,
        name=section_name(path.parent),
        image=_image_beside(path),
        obs={"array_row": places[:, 0], "array_col": places[:, 1]},
    )


def _image_beside(path: Path) -> tuple[Slide | None, list[str]]:
    """The reduced image of the run that the file lies in, if one has a scale; bins of all sizes share it."""
    roots = (path.parent, *bin_folders(path.parent).values())
    for spatial in (root / "spatial" for root in roots):
        scales = read_scales(spatial)
        if scales.hires is not None or scales.lowres is not None:
            return own_image(spatial, scales)
    return None, ["there is no image"]


def _counts(
    file: Any, genes: int, extent: tuple[int, int], step: int, bins: Numbers, path: Path, progress: Progress
) -> Any:
    """Counts as a sparse matrix (bins, genes) of float32, gene by gene."""
    row_of = np.full((-(-extent[0] // step)) * (-(-extent[1] // step)), -1, dtype=np.int32)
    row_of[bins] = np.arange(len(bins))
    rows: list[NDArray[np.int32]] = []
    values: list[NDArray[np.float32]] = []
    ends = np.zeros(genes + 1, dtype=np.int64)
    for gene in progress.track(range(genes), "reading genes", genes):
        places, counts = _sparse_bins(file, f"feature_slices/{gene}", extent, step, path)
        found, where = np.unique(row_of[places], return_inverse=True)
        summed = np.bincount(where, weights=counts, minlength=len(found))
        inside = found >= 0
        rows.append(found[inside])
        values.append(summed[inside].astype(np.float32))
        ends[gene + 1] = ends[gene] + len(rows[-1])
        if ends[gene + 1] > MOST_ENTRIES:
            raise _refused(f"holds more than {MOST_ENTRIES} counts", path)
    data = np.concatenate([np.zeros(0, np.float32), *values])
    indices = np.concatenate([np.zeros(0, np.int32), *rows])
    return csc_matrix((data, indices, ends), shape=(len(bins), genes)).tocsr()


def _to_image(file: Any, path: Path) -> NDArray[np.float64]:
    """From (column, row, 1) of a 2 µm bin to pixels of the image; to bins where none was registered."""
    about = json.loads(file.attrs["metadata_json"])
    pitch = about.get("spot_pitch", FINEST_UM)
    if pitch != FINEST_UM:
        raise _refused(f"has bins of {pitch!r:.20} µm, not {FINEST_UM:g}", path)
    try:
        matrix = (about.get("transform_matrices") or {}).get(_TO_IMAGE)
        found = np.asarray(np.eye(3) if matrix is None else matrix, dtype=np.float64).reshape(3, 3)
    except (AttributeError, TypeError, ValueError) as error:
        raise _refused("where its bins lie is damaged", path) from error
    if not np.isfinite(found).all() or abs(np.linalg.det(found)) < 1e-12:
        raise _refused("where its bins lie is damaged", path)
    return found


def _refused(problem: str, path: Path) -> SectionError:
    return SectionError(problem, where=path, remedy=_REMEDY)
