"""Sections from tables in squidpy's convention: h5ad files, our own and foreign ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histoscribe.bounds.hdf5 import opened_hdf5
from histoscribe.errors import SectionError, told_as
from histoscribe.record import KEY, Record, record_of
from histoscribe.rows import lazily
from histoscribe.section.alignment import opened
from histoscribe.section.assembly import aligned, section_name
from histoscribe.section.model import Section, SectionOptions, flip
from histoscribe.section.readers.expression import check_sparse, library_of, with_expression, with_places
from histoscribe.section.readers.held_images import held_image, named_slide, unlike_named
from histoscribe.section.scale import scale_of

if TYPE_CHECKING:
    from anndata import AnnData

    from histoscribe.slide import Slide

LAZY = 1 << 25
_ROWS = 1 << 20
SMALLEST_IMAGE = 100
"""A smaller image tells the size of the full one too coarsely to check a slide by it."""


def open_h5ad(path: Path, options: SectionOptions) -> Section:
    """Open one section from an h5ad file.

    `path`: holds `obsm["spatial"]` as (x, y) in full-resolution pixels; `uns["spatial"]` where squidpy or
    scanpy wrote it, `uns["histoscribe"]` where we did. `options`: without a slide the one that our own file
    names is opened, if it still holds what it held, else the image that the file holds. Raises `SectionError`
    if it is damaged, reaches into other files, or is not one section.
    """
    return section_of_table(read_h5ad(path), path, options)


def section_of_table(
    table: AnnData,
    path: Path,
    options: SectionOptions,
    *,
    mpp: float | None = None,
    image: Slide | None = None,
    doubts: tuple[str, ...] = (),
) -> Section:
    """Make the section of a table that was read from a file.

    `table` is changed in place. `path`: the file or folder that it came
    from. `mpp`: where the table does not say. `image`: a reduced image that lies beside the table, in
    full-resolution pixels. `doubts`: everything doubtful that the reader found. Raises `SectionError` if
    positions or values cannot be used, or the slide does not fit.
    """
    check_sparse(table, path)
    try:
        own = record_of(table)
    except SectionError as error:
        raise SectionError(error.problem, where=path, remedy=error.remedy) from error
    table, lost = with_places(table, path)
    library, entry, beside = library_of(table, path)
    table, changed = with_expression(table, own.measured, path)
    centres = flip(table.obsm["spatial"])
    beneath = None if options.slide is None else opened(options.slide)
    scale = scale_of(table, centres, own, replace(options, slide=beneath), entry, mpp, path)
    held, said = (image, []) if image is not None else held_image(entry, path)
    warnings = [*own.warnings, *doubts, *lost, *beside, *changed, *scale.warnings]
    if beneath is not None:
        warnings += unlike_named(beneath, own.slide)
    else:
        beneath, said_of_named = named_slide(own.slide, path)
        warnings += said_of_named
        if beneath is None:
            beneath, warnings = held, [*warnings, *said]
    expected = held.shape if held is not None and min(held.levels[0].shape) >= SMALLEST_IMAGE else None
    name = options.name or own.name or library or section_name(path)
    patient, sizes = options.patient or own.patient or name, (scale.mpp, scale.spot_um, scale.pitch_um)
    section = Section(name, table, beneath, *sizes, patient, tuple(warnings))
    return aligned(section, expected, own.kind or "measured")


def read_h5ad(path: Path) -> AnnData:
    """Read a table; raises `SectionError` if it is damaged or reaches into other files.

    Of a prediction of more than 32 million values `X` and layers stay in the file until they are asked for.
    """
    import anndata
    import h5py

    with opened_hdf5(path) as file:
        missing = [part for part in ("obs", "var") if part not in file]
    if missing:
        problem = f"this HDF5 file has no {', '.join(missing)}"
        raise SectionError(problem, where=path, remedy="name an h5ad file or a Space Ranger folder")
    remedy = "write it again with a current anndata"
    with told_as(SectionError, "not a whole h5ad file", Exception, where=path, remedy=remedy):
        if h5py.is_hdf5(path):  # else it is packed
            file = h5py.File(path, "r")
            if (found := read_lazily(file)) is not None:
                return found
            file.close()
        return anndata.read_h5ad(path)


def _is_large(matrix: Any) -> bool:
    """Whether a matrix is large, dense, and stored so that a gene can be read by itself."""
    shape: Any = getattr(matrix, "shape", ())
    chunks: Any = getattr(matrix, "chunks", None)
    return bool(len(shape) == 2 and chunks and shape[0] * shape[1] > LAZY and 2 * chunks[1] <= shape[1])


def read_lazily(stored: Any) -> AnnData | None:
    """A table in an open file, HDF5 or zarr, its large matrices as dask arrays that hold the file.

    None where none is large, and for what was measured: all of it is checked.
    """
    from anndata import AnnData
    from anndata.io import read_elem

    if "X" not in stored or not _is_large(stored["X"]):
        return None
    if Record.from_mapping(read_elem(stored["uns"]).get(KEY) if "uns" in stored else None).measured:
        return None
    parts = {name: read_elem(stored[name]) for name in stored if name not in ("X", "layers", "raw")}
    layers = {name: _lazy(stored["layers"][name]) for name in stored["layers"]} if "layers" in stored else {}
    return AnnData(X=_lazy(stored["X"]), layers=layers, **parts)


def _lazy(matrix: Any) -> Any:
    from anndata.io import read_elem

    return lazily(matrix, (_ROWS, matrix.chunks[1])) if _is_large(matrix) else read_elem(matrix)
