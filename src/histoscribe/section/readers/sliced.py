"""A Visium HD run from `feature_slice.h5` alone: all genes, in bins of any size that 2 µm make up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SectionError
from histoscribe.progress import Progress
from histoscribe.section.alignment import laid_on, opened
from histoscribe.section.bounds.hdf5 import hdf5_part, opened_hdf5
from histoscribe.section.describe import finished, section_name
from histoscribe.section.lattice import square_spacing
from histoscribe.section.model import Section
from histoscribe.section.readers.feature_slice import (
    FINEST_UM,
    bins_per_side,
    extent_of,
    names_of,
    sparse_bins,
)
from histoscribe.section.readers.spatial_folder import own_image, read_scales
from histoscribe.section.readers.tenx_h5 import GENE_EXPRESSION, MOST_ENTRIES, gene_expression
from histoscribe.section.readers.visium_hd import BIN_UM, bin_folders
from histoscribe.section.table import spot_table
from histoscribe.slide import Slide

NAME = "feature_slice.h5"
_REMEDY = "copy feature_slice.h5 from Space Ranger again"
_TO_IMAGE = "spot_colrow_to_microscope_colrow"


def slice_file(folder: Path) -> Path | None:
    """The `feature_slice.h5` of a run's folder, with or without the sample's name before it."""
    found = sorted(folder.glob(f"*{NAME}"))
    return found[0] if len(found) == 1 else None


def open_feature_slice(
    path: Path,
    *,
    slide: Slide | str | Path | None = None,
    patient: str | None = None,
    name: str | None = None,
    bin_um: float | None = None,
    progress: Progress | None = None,
) -> Section:
    """Open all genes of a `feature_slice.h5` in bins on tissue.

    Parameters
    ----------
    path : Path
        `feature_slice.h5` of Space Ranger 3 or later.
    slide : Slide or path, optional
        The full-resolution image; without it the reduced image of the run that the file lies in.
    patient, name : str, optional
        The run's name where not given.
    bin_um : float, optional
        Side of the bins, a multiple of 2 µm; 8 µm where not given.
    progress : Progress, optional
        Told about genes.

    Raises
    ------
    SectionError
        If the file is damaged, or the bin size is no multiple of 2 µm.
    Cancelled
        If `progress` says so.
    """
    bin_um = bin_um or BIN_UM
    step = bins_per_side(bin_um, path)
    with opened_hdf5(path, whole=False) as file:
        extent, to_image = extent_of(file, path), _to_image(file, path)
        across = -(-extent[1] // step)
        mask = hdf5_part(file, "masks/filtered", path)
        if mask is None:
            raise SectionError("does not say which bins lie on tissue", where=path, remedy=_REMEDY)
        bins = np.unique(sparse_bins(mask, extent, step, path)[0])
        names, ids = names_of(file, "name", path), names_of(file, "id", path)
        typed = hdf5_part(file, "features/feature_type", path) is not None
        kinds = names_of(file, "feature_type", path) if typed else [GENE_EXPRESSION] * len(names)
        if not len(names) == len(ids) == len(kinds):
            raise SectionError("its genes have unequal numbers of names", where=path, remedy=_REMEDY)
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
        raise SectionError("its bins do not span the tissue", where=path, remedy=_REMEDY)
    warnings, mpp, alignment = [*counts.warnings, *spacing.warnings], spacing.mpp, None
    own, doubts = _image_beside(path)
    warnings += doubts if slide is None else []
    beneath = own if slide is None else opened(slide)
    if beneath is not None:
        expected = None if own is None else own.shape
        beneath, centres, mpp, alignment = laid_on(beneath, centres, mpp, expected=expected)
        warnings += alignment.warnings
    table = spot_table(counts, np.arange(len(bins)), centres)
    table.obs["array_row"], table.obs["array_col"] = places.T
    return finished(
        table,
        kind="measured",
        name=name or section_name(path.parent),
        patient=patient,
        slide=beneath,
        mpp=mpp,
        spot_um=bin_um,
        pitch_um=bin_um,
        warnings=tuple(warnings),
        alignment=alignment,
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
    file: Any,
    genes: int,
    extent: tuple[int, int],
    step: int,
    bins: NDArray[np.int64],
    path: Path,
    progress: Progress,
) -> Any:
    """Counts as a sparse matrix (bins, genes) of float32, gene by gene."""
    from scipy.sparse import csc_matrix

    row_of = np.full((-(-extent[0] // step)) * (-(-extent[1] // step)), -1, dtype=np.int32)
    row_of[bins] = np.arange(len(bins))
    rows: list[NDArray[np.int32]] = []
    values: list[NDArray[np.float32]] = []
    ends = np.zeros(genes + 1, dtype=np.int64)
    for gene in progress.track(range(genes), "reading genes", genes):
        part = hdf5_part(file, f"feature_slices/{gene}", path)
        if part is not None:
            places, counts = sparse_bins(part, extent, step, path)
            found, where = np.unique(row_of[places], return_inverse=True)
            summed = np.bincount(where, weights=counts, minlength=len(found))
            inside = found >= 0
            rows.append(found[inside])
            values.append(summed[inside].astype(np.float32))
        ends[gene + 1] = ends[gene] + (len(rows[-1]) if part is not None else 0)
        if ends[gene + 1] > MOST_ENTRIES:
            raise SectionError(f"holds more than {MOST_ENTRIES} counts", where=path, remedy=_REMEDY)
    data = np.concatenate(values) if values else np.zeros(0, np.float32)
    indices = np.concatenate(rows) if rows else np.zeros(0, np.int32)
    return csc_matrix((data, indices, ends), shape=(len(bins), genes)).tocsr()


def _to_image(file: Any, path: Path) -> NDArray[np.float64]:
    """From (column, row, 1) of a 2 µm bin to pixels of the image; to bins where none was registered."""
    about = json.loads(file.attrs["metadata_json"])
    pitch = about.get("spot_pitch", FINEST_UM)
    if pitch != FINEST_UM:
        raise SectionError(f"has bins of {pitch!r:.20} µm, not {FINEST_UM:g}", where=path, remedy=_REMEDY)
    try:
        matrix = (about.get("transform_matrices") or {}).get(_TO_IMAGE)
        found = np.asarray(np.eye(3) if matrix is None else matrix, dtype=np.float64).reshape(3, 3)
    except (AttributeError, TypeError, ValueError) as error:
        raise SectionError("where its bins lie is damaged", where=path, remedy=_REMEDY) from error
    if not np.isfinite(found).all() or abs(np.linalg.det(found)) < 1e-12:
        raise SectionError("where its bins lie is damaged", where=path, remedy=_REMEDY)
    return found
