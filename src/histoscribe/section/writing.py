"""Writing a section as an h5ad file or a SpatialData folder that others and we ourselves read."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from histoscribe.arrays import Pixels
from histoscribe.errors import DependencyError, SectionError, SlideError, told_as
from histoscribe.files import replacing, write_h5ad
from histoscribe.progress import Progress
from histoscribe.record import SlideReference, amend_record, record_of
from histoscribe.section.assembly import describe, library_key
from histoscribe.section.model import Section
from histoscribe.section.readers.spatial_data import INSTALL
from histoscribe.section.table import log_gene
from histoscribe.slide import Slide, Window
from histoscribe.slide.identity import HELD_IN_H5AD, refer_to

if TYPE_CHECKING:
    from anndata import AnnData

REGION_KEY, INSTANCE_KEY = "spatialdata_region", "spatialdata_instance"
CHUNK = 1024
SMALLEST = 512
GLOBAL, MICROMETRES = "global", "micrometers"
IMAGE_SIDE = 1000
ZARR_IMAGE_SIDE = 4096


def write_section(
    section: Section | AnnData,
    path: str | Path,
    *,
    genes: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write a section, or a table that describes itself, as one file or folder; whole or not at all.

    Parameters
    ----------
    section : Section or AnnData
        A section is written with its name, patient, µm per pixel, warnings, the path of its slide
        and an image of it of at most 1,000 pixels (4,096 in SpatialData). A table is written as it is, as
        h5ad only; it needs `obsm["spatial"]`.
    path : path
        Where to; what stands there is replaced. Ending in `.zarr`: a SpatialData folder; in `.csv`: one row
        a spot with its centre in µm (`x_um`, `y_um`), its `obs`, and genes as log1p of counts per 10,000;
        else h5ad.
    genes : iterable of str, optional
        Those of a CSV, where the section has them; all if not given.
    progress : Progress, optional
        Of a CSV.

    Returns
    -------
    Path
        The file or folder written.

    Raises
    ------
    SectionError
        If it has no positions, or holds something that h5ad cannot store.
    StorageError
        If there is no room, or no permission.
    DependencyError
        If SpatialData is wanted and not installed.
    """
    target = Path(path)
    if target.suffix.lower() == ".zarr":
        _write_zarr(section, target)
        return target
    if target.suffix.lower() == ".csv":
        _write_csv(section, target, genes, progress or Progress())
        return target
    if isinstance(section, Section):
        table = _described(section, target)
    else:
        table, reference = section, record_of(section).slide
        if reference is not None and reference.path:
            table = _shallow(table)
            amend_record(table, slide=_beside(reference, target))
    if "spatial" not in table.obsm:
        problem = 'the spots have no positions: there is no obsm["spatial"]'
        raise SectionError(problem, where=target, remedy="set it to spots × (x, y) in full-resolution pixels")
    write_h5ad(table, target, SectionError)
    return target


def _write_csv(
    section: Section | AnnData, target: Path, genes: Iterable[str] | None, progress: Progress
) -> None:
    """Write spots with their places and genes as text."""
    whole = _whole(section, target, "CSV")
    table = whole.table.obs.drop(columns="in_tissue", errors="ignore")  # as all of a section are
    table.insert(0, "x_um", whole.centres_um[:, 1].round(3))
    table.insert(1, "y_um", whole.centres_um[:, 0].round(3))
    known = [gene for gene in (whole.genes if genes is None else genes) if gene in whole.table.var_names]
    values = [log_gene(whole, gene) for gene in progress.track(known, "reading genes", len(known))]
    if known:
        shown = pd.DataFrame(np.column_stack(values), index=table.index, columns=known)
        table = table.join(shown, rsuffix=" (gene)")
    progress.report("writing the table")
    with replacing(target) as fresh:
        table.to_csv(fresh, index_label="spot", float_format="%.6g")


def _whole(section: Section | AnnData, target: Path, kind: str) -> Section:
    if not isinstance(section, Section):
        problem = f"a table alone cannot be written as {kind}"
        raise SectionError(problem, where=target, remedy="end the name in .h5ad")
    return section


def _write_zarr(spots: Section | AnnData, target: Path) -> None:
    """Write table, spots and image as one SpatialData folder."""
    section = _whole(spots, target, "SpatialData")
    if target.is_dir() and not (target / "zarr.json").exists() and any(target.iterdir()):
        problem = "this folder holds something else and is not replaced"
        raise SectionError(problem, where=target, remedy="choose another name")
    needed = "writing SpatialData needs the package spatialdata"
    with told_as(DependencyError, needed, ImportError, where=target, remedy=INSTALL, reason=False):
        import spatialdata
        from spatialdata.models import Image2DModel, ShapesModel, TableModel
    table = _described(section, target, ZARR_IMAGE_SIDE)
    entry = table.uns["spatial"][library_key(section.name)]
    image: Pixels | None = entry["images"].get("hires")
    scale = float(entry["scalefactors"].get("tissue_hires_scalef", 1.0))
    element = re.sub(r"[^A-Za-z0-9_.-]", "_", section.name).strip("._") or "section"
    table.uns.pop("spatial", None)
    numbers = np.arange(table.n_obs)
    table.obs[REGION_KEY], table.obs[INSTANCE_KEY] = element, numbers
    problem, remedy = "the table holds something that SpatialData cannot store", "rename or remove it"
    wrong = (ValueError, TypeError, KeyError, NotImplementedError)
    with told_as(SectionError, problem, *wrong, where=target, remedy=f"{remedy}, or write h5ad instead"):
        table.obs[REGION_KEY] = table.obs[REGION_KEY].astype("category")
        with warnings.catch_warnings(action="ignore"):
            circles = ShapesModel.parse(
                np.asarray(table.obsm["spatial"], dtype=np.float64)[:, :2],
                geometry=0,
                radius=section.spot_um / section.mpp / 2,
                index=numbers,
                transformations=_placed(section, 1.0),
            )
            annotated = TableModel.parse(
                table, region=element, region_key=REGION_KEY, instance_key=INSTANCE_KEY
            )
            images = {}
            if image is not None:
                halvings = max(0, int(np.log2(max(image.shape[:2]) / SMALLEST)))
                images[f"{element}_image"] = Image2DModel.parse(
                    np.moveaxis(image, -1, 0),
                    dims=("c", "y", "x"),
                    scale_factors=[2] * halvings or None,
                    transformations=_placed(section, 1 / scale),
                    chunks=(3, CHUNK, CHUNK),
                )
            shapes, tables = {element: circles}, {"table": annotated}
            data = spatialdata.SpatialData(images=images, shapes=shapes, tables=tables)
            with replacing(target) as fresh:
                data.write(fresh)


def _placed(section: Section, factor: float) -> dict[str, Any]:
    """Transformations of an element whose pixel is `factor` full-resolution pixels wide."""
    from spatialdata.transformations import Affine, Identity, Scale

    aligned = record_of(section.table).aligned
    wide = Scale([factor, factor], axes=("x", "y")) if factor != 1.0 else Identity()
    places = {GLOBAL: wide, MICROMETRES: Scale([factor * section.mpp] * 2, axes=("x", "y"))}
    if aligned is not None and aligned.name != section.name:
        matrix = np.array(aligned.affine)[np.ix_((1, 0, 2), (1, 0, 2))]
        matrix = matrix @ np.diag([factor * section.mpp, factor * section.mpp, 1.0])
        places[f"aligned to {aligned.name}"] = Affine(matrix, ("x", "y"), ("x", "y"))
    return places


def _described(section: Section, target: Path, side: int = IMAGE_SIDE) -> AnnData:
    """A shallow copy of the section's table whose `uns` describes the section."""
    table = _shallow(section.table)
    describe(section, record_of(table).kind or "measured", table=table)
    amend_record(table, warnings=section.warnings, slide=_reference(section.slide, target))
    if section.slide is None:
        return table
    try:
        image, scale = _small_image(section, side)
    except SlideError as error:
        amend_record(table, warnings=(*section.warnings, f"no image was kept: {error.problem}"))
        return table
    entry = table.uns["spatial"][library_key(section.name)]
    entry["images"] = {"hires": image}
    entry["scalefactors"]["tissue_hires_scalef"] = scale
    return table


def _shallow(table: AnnData) -> AnnData:
    import anndata

    if table.raw is not None or table.is_view:
        return table.copy()
    parts = {name: dict(getattr(table, name)) for name in ("uns", "obsm", "varm", "layers", "obsp", "varp")}
    return anndata.AnnData(X=table.X, obs=table.obs.copy(), var=table.var.copy(), **parts)


def _reference(slide: Slide | None, target: Path) -> SlideReference | None:
    """What the file says of a section's slide; nothing of an image that it holds itself."""
    if slide is None or slide.vendor == HELD_IN_H5AD or target.resolve() in slide.path.resolve().parents:
        return None
    try:
        found = refer_to(slide)
    except SlideError:
        return None
    return None if found is None else _beside(found, target)


def _beside(reference: SlideReference, target: Path) -> SlideReference:
    """A reference with the slide's path from the folder of the file that names it; none to another drive."""
    try:
        relative = Path(os.path.relpath(reference.path, target.resolve().parent)).as_posix()
    except ValueError:
        relative = ""
    return replace(reference, relative="" if "://" in reference.path else relative)


def _small_image(section: Section, side: int) -> tuple[Pixels, float]:
    """The slide with at most `side` pixels a side, and its pixels per full-resolution pixel."""
    slide: Any = section.scaled_slide
    rows, columns = slide.shape
    finest = 1 / slide.levels[0].downsample
    scale = min(side / max(rows, columns), finest)
    image = slide.read(Window(0, 0, rows, columns), section.mpp / scale)
    return image[:side, :side], float(image.shape[0] / rows)
