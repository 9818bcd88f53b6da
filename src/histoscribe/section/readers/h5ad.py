"""Sections from tables in squidpy's convention: h5ad files, our own and foreign ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from histoscribe.errors import SectionError, reason_of
from histoscribe.record import record_of
from histoscribe.section.alignment import laid_on, opened
from histoscribe.section.assembly import finished, section_name
from histoscribe.section.bounds.hdf5 import opened_hdf5
from histoscribe.section.model import Section, SectionOptions, flip
from histoscribe.section.readers.expression import check_sparse, library_of, with_expression, with_places
from histoscribe.section.readers.held_images import held_image, named_slide
from histoscribe.section.scale import scale_of

if TYPE_CHECKING:
    from anndata import AnnData

    from histoscribe.slide import Slide

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
    if options.slide is not None:
        options = replace(options, slide=opened(options.slide))
    scale = scale_of(table, centres, own, options, entry, mpp, path)
    held, said = (image, []) if image is not None else held_image(entry, path)
    warnings = [*own.warnings, *doubts, *lost, *beside, *changed, *scale.warnings]
    beneath: Slide | None
    if options.slide is not None:
        beneath = opened(options.slide)
    else:
        beneath, said_of_named = named_slide(own.slide, path)
        warnings += said_of_named
        if beneath is None:
            beneath, warnings = held, [*warnings, *said]
    known = held is not None and min(held.levels[0].shape) >= SMALLEST_IMAGE
    expected = held.shape if held is not None and known else None
    beneath, centres, micrometres, alignment = laid_on(beneath, centres, scale.mpp, expected=expected)
    if alignment.factor != 1.0:
        table.obsm["spatial"] = flip(centres)
        table.uns.pop("spatial", None)
    warnings += alignment.warnings
    name = options.name or own.name or library or section_name(path)
    patient = options.patient or own.patient or name
    sizes, told = (micrometres, scale.spot_um, scale.pitch_um), tuple(warnings)
    section = Section(name, table, beneath, *sizes, patient, told, alignment.verdict)
    return finished(section, own.kind or "measured")


def read_h5ad(path: Path) -> AnnData:
    """Read a whole table; raises `SectionError` if it is damaged or reaches into other files."""
    import anndata

    with opened_hdf5(path) as file:
        missing = [part for part in ("obs", "var", "X") if part not in file]
    if missing:
        problem = f"this HDF5 file has no {', '.join(missing)}"
        raise SectionError(problem, where=path, remedy="name an h5ad file or a Space Ranger folder")
    try:
        return anndata.read_h5ad(path)
    except Exception as error:
        problem = f"not a whole h5ad file ({reason_of(error)})"
        raise SectionError(problem, where=path, remedy="write it again with a current anndata") from error
