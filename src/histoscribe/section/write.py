"""Writing a section as an h5ad file that scanpy, squidpy and we ourselves read."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SectionError, SlideError
from histoscribe.files import replacing
from histoscribe.section.describe import KEY, describe, kind_of, library_key
from histoscribe.section.model import Section
from histoscribe.slide import Region

if TYPE_CHECKING:
    from anndata import AnnData

IMAGE_SIDE = 1000


def write_section(section: Section | AnnData, path: str | Path) -> Path:
    """Write a section, or a table that describes itself, as one h5ad file; whole or not at all.

    Parameters
    ----------
    section : Section or AnnData
        A section is written with its name, patient, µm per pixel, warnings, the path of its slide
        and an image of it of at most 1,000 pixels. A table is written as it is; it needs
        `obsm["spatial"]`.
    path : path
        Where to; what stands there is replaced.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    SectionError
        If it has no positions, or holds something that h5ad cannot store.
    StorageError
        If there is no room, or no permission.
    """
    target = Path(path)
    table = _described(section, target) if isinstance(section, Section) else section
    if "spatial" not in table.obsm:
        raise SectionError(
            'the spots have no positions: there is no obsm["spatial"]',
            where=target,
            remedy="set it to spots × (x, y) in full-resolution pixels",
        )
    content = _packed(table, target)
    with replacing(target) as fresh:
        fresh.write_bytes(content)
    return target


def _packed(table: AnnData, target: Path) -> memoryview:
    """The h5ad file's bytes: made in memory, for HDF5 on a full disk takes the whole program down."""
    import anndata
    import h5py

    buffer = io.BytesIO()
    try:
        table.strings_to_categoricals()
        with h5py.File(buffer, "w") as file:
            packing = {"compression": "gzip", "compression_opts": 1}
            anndata.io.write_elem(file, "/", table, dataset_kwargs=packing)
    except Exception as error:
        raise SectionError(
            f"the table holds something that h5ad cannot store ({str(error).splitlines()[0]})",
            where=target,
            remedy="remove it from the table",
        ) from error
    return buffer.getbuffer()


def _described(section: Section, target: Path) -> AnnData:
    """A shallow copy of the section's table whose `uns` describes the section."""
    table = _shallow(section.table)
    describe(table, section, kind_of(table))
    own = table.uns[KEY]
    for key in ("warnings", "slide", "slide_downsample"):
        own.pop(key, None)
    if section.warnings:
        own["warnings"] = np.array(section.warnings, dtype=object)
    library = library_key(section.name)
    entry = table.uns["spatial"][library]
    if section.slide is None:
        return table
    if section.slide.path.exists() and section.slide.path.suffix != ".h5ad":
        own["slide"] = _relative(section.slide.path, target)
        own["slide_downsample"] = float(section.slide.levels[0].downsample)
    try:
        image, scale = _small_image(section)
    except SlideError as error:
        own["warnings"] = np.array([*section.warnings, f"no image was kept: {error.problem}"], dtype=object)
        return table
    entry["images"] = {"hires": image}
    entry["scalefactors"] = {**entry["scalefactors"], "tissue_hires_scalef": scale}
    return table


def _shallow(table: AnnData) -> AnnData:
    import anndata

    if table.raw is not None or table.is_view:
        return table.copy()
    return anndata.AnnData(
        X=table.X,
        obs=table.obs.copy(),
        var=table.var.copy(),
        uns=dict(table.uns),
        obsm=dict(table.obsm),
        varm=dict(table.varm),
        layers=dict(table.layers),
        obsp=dict(table.obsp),
        varp=dict(table.varp),
    )


def _relative(slide: Path, target: Path) -> str:
    """The slide's path from the folder of the h5ad file; absolute on another drive."""
    try:
        return Path(os.path.relpath(slide.resolve(), target.resolve().parent)).as_posix()
    except ValueError:
        return str(slide.resolve())


def _small_image(section: Section) -> tuple[NDArray[np.uint8], float]:
    """The slide with at most 1,000 pixels a side, and its pixels per full-resolution pixel."""
    assert section.slide is not None
    slide: Any = section.slide.with_mpp(section.mpp)
    rows, columns = slide.shape
    finest = 1 / slide.levels[0].downsample
    scale = min(IMAGE_SIDE / max(rows, columns), finest)
    image = slide.read(Region(0, 0, rows, columns), section.mpp / scale)
    return image[:IMAGE_SIDE, :IMAGE_SIDE], float(image.shape[0] / rows)
