"""Sections from SpatialData folders (zarr): our own, and those that spatialdata-io writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import DependencyError, SectionError, SlideError, reason_of
from histoscribe.section.alignment import opened, rebased
from histoscribe.section.bounds.zarr import check_zarr
from histoscribe.section.model import Section, SectionOptions
from histoscribe.section.readers.h5ad import section_of_table
from histoscribe.section.table import examples, repeated
from histoscribe.slide import Slide

if TYPE_CHECKING:
    from anndata import AnnData

INSTALL = "pip install 'napari-histoscribe[spatialdata]'"
SAME_SCALE = 0.01
IN_ZARR = "SpatialData"
_BIN = re.compile(r"square_(\d{3})um")
_AGAIN = "write the folder again with a current spatialdata"


def open_spatial_data(path: Path, options: SectionOptions) -> Section:
    """Open one section from a SpatialData folder.

    The table's shapes give the positions: their own coordinates are taken for full-resolution pixels. An
    image that lies straight above them in a common coordinate system becomes the slide.

    Parameters
    ----------
    path : Path
        A zarr folder with `tables`, `shapes` and `images`.
    options : SectionOptions
        As for h5ad files; `bin_um` chooses among several tables of Visium HD bins, 8 µm where not given.

    Raises
    ------
    SectionError
        If it is damaged, reaches out of the folder, or is not one section.
    DependencyError
        If spatialdata is not installed.
    """
    check_zarr(path)
    data = _read(path)
    key = _choose_table(list(data.tables), options.bin_um, path)
    table = data.tables[key]
    region, shapes = _shapes_of(table, data, path)
    places, sizes = _joined(table, shapes, path)
    about = table.uns.pop("spatialdata_attrs")
    columns = [about.get("region_key"), about.get("instance_key")]
    table.obs = table.obs.drop(columns=[column for column in columns if column in table.obs])
    table.obsm["spatial"] = places
    if len(data.tables) == 1:
        table.uns.setdefault("spatial", {region: {}})
    bin_size = _BIN.search(key)
    if bin_size is not None:
        side = float(bin_size[1])
        options = replace(options, pitch_um=options.pitch_um or side, spot_um=options.spot_um or side)
    image, doubts = _image(data, shapes, path)
    mpp = _mpp(data, key, sizes)
    return section_of_table(table, path, options, mpp=mpp, image=image, doubts=tuple(doubts))


def _read(path: Path) -> Any:
    try:
        import spatialdata
    except ImportError as error:
        raise DependencyError(
            "reading SpatialData needs the package spatialdata", where=path, remedy=INSTALL
        ) from error
    try:
        return spatialdata.read_zarr(path, selection=("tables", "shapes", "images"))
    except Exception as error:
        raise SectionError(
            f"not a whole SpatialData folder ({reason_of(error)})", where=path, remedy=_AGAIN
        ) from error


def _choose_table(names: list[str], bin_um: float | None, path: Path) -> str:
    if not names:
        raise SectionError("it holds no table", where=path, remedy=_AGAIN)
    wanted = f"square_{round(bin_um or 8):03d}um"
    if bin_um is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return wanted
    raise SectionError(
        f"it holds {len(names)} tables ({examples(names)})",
        where=path,
        remedy="name a bin size that is among them, or write each table into a folder of its own",
    )


def _shapes_of(table: AnnData, data: Any, path: Path) -> tuple[str, Any]:
    about = table.uns.get("spatialdata_attrs")
    named = about.get("region", []) if isinstance(about, Mapping) else []
    regions = [str(each) for each in np.atleast_1d(np.asarray(named, dtype=object))]
    if len(regions) != 1 or regions[0] not in data.shapes:
        raise SectionError(
            f"its table belongs to {examples(regions) or 'nothing'}, which is not one element of shapes",
            where=path,
            remedy="write one section with its spots or bins as shapes",
        )
    return regions[0], data.shapes[regions[0]]


def _joined(table: AnnData, shapes: Any, path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre (x, y) and size of each spot's shape: circles' diameters, else roots of areas."""
    key = table.uns["spatialdata_attrs"].get("instance_key")
    instances = list(table.obs[key]) if key in table.obs else []
    index = list(shapes.index)
    if twice := repeated([str(each) for each in index]):
        raise SectionError(f"shapes listed twice: {examples(twice)}", where=path, remedy=_AGAIN)
    place = {instance: row for row, instance in enumerate(index)}
    rows = [place.get(instance, -1) for instance in instances]
    if not rows or min(rows) < 0:
        lost = [str(each) for each, row in zip(instances, rows, strict=True) if row < 0]
        raise SectionError(
            f"spots without a shape: {examples(lost) or 'all of them'}", where=path, remedy=_AGAIN
        )
    chosen = shapes.geometry.iloc[rows]
    middle = chosen.centroid
    centres = np.column_stack([middle.x.to_numpy(), middle.y.to_numpy()])
    if not np.isfinite(centres).all():
        raise SectionError("shapes without a place", where=path, remedy=_AGAIN)
    round_ones = "radius" in shapes.columns
    sizes = 2 * shapes["radius"].to_numpy()[rows] if round_ones else np.sqrt(chosen.area.to_numpy())
    return centres, np.asarray(sizes, dtype=np.float64)


def _mpp(data: Any, key: str, sizes: NDArray[np.float64]) -> float | None:
    """µm per pixel by the side of Visium HD bins, of this table or of another one beside it."""
    own = _BIN.search(key)
    if own is not None:
        return float(own[1]) / float(np.median(sizes))
    for name in data.shapes:
        found = _BIN.search(name)
        shapes = data.shapes[name]
        if found is not None and "radius" not in shapes.columns and len(shapes):
            return float(found[1]) / float(np.sqrt(shapes.area.median()))
    return None


def _image(data: Any, shapes: Any, path: Path) -> tuple[Slide | None, list[str]]:
    """The finest image that lies straight above the shapes."""
    from spatialdata.transformations import get_transformation

    axes = (("x", "y"), ("x", "y"))
    beneath = get_transformation(shapes, get_all=True)
    slides: list[Slide] = []
    doubts = []
    for name in data.images:
        above = get_transformation(data.images[name], get_all=True)
        common = sorted(set(above) & set(beneath))
        if not common:
            continue
        try:
            to_shapes = np.linalg.inv(beneath[common[0]].to_affine_matrix(*axes))
            matrix = to_shapes @ above[common[0]].to_affine_matrix(*axes)
            slide = opened(path / "images" / name)
        except (SlideError, ValueError, np.linalg.LinAlgError) as error:
            problem = error.problem if isinstance(error, SlideError) else "it lies nowhere"
            doubts.append(f"the image {name} cannot be used ({problem})")
            continue
        scale = float(np.sqrt(abs(matrix[0, 0] * matrix[1, 1])))
        if _straight(matrix, scale):
            slides.append(replace(rebased(slide, scale), path=path / "images" / name, vendor=IN_ZARR, url=""))
        else:
            doubts.append(f"the image {name} lies turned or shifted on the spots and was left out")
    return min(slides, key=lambda slide: slide.levels[0].downsample, default=None), doubts


def _straight(matrix: NDArray[np.float64], scale: float) -> bool:
    """Whether a transformation only enlarges, up to a pixel."""
    wanted = np.diag([scale, scale, 1.0])
    if not 0 < scale < np.inf or np.any(np.abs(matrix - wanted)[:2, :2] >= SAME_SCALE * scale):
        return False
    return bool(np.all(np.abs(matrix[:2, 2]) <= scale))
