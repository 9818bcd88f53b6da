"""Sections from SpatialData folders (zarr): our own, and those that spatialdata-io writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.bounds.zarr import check_zarr
from histoscribe.errors import DependencyError, SectionError, SlideError, told_as
from histoscribe.section.alignment import SAME_MPP, opened, rebased
from histoscribe.section.assembly import section_name
from histoscribe.section.model import Section, SectionOptions
from histoscribe.section.readers.h5ad import read_lazily, section_of_table
from histoscribe.section.scale import cell_doubts, number_in
from histoscribe.section.table import examples, repeated, rows_among
from histoscribe.slide import Slide
from histoscribe.slide.scale import um_of

if TYPE_CHECKING:
    from anndata import AnnData

INSTALL = "pip install 'napari-histoscribe[spatialdata]'"
SAME_SCALE = 0.01
IN_ZARR = "SpatialData"
_BIN = re.compile(r"square_(\d{3})um")
_AXES = (("x", "y"), ("x", "y"))
_IN_MICROMETRES = ("xenium", "merscope")
"""Readers of spatialdata-io whose shapes are in µm, and which say how many pixels one is."""
_STATED = ("microns_per_pixel", "pixel_size_um", "mpp")
_APART = 1.0
"""Diameters of a cell that its centre may lie off its outline's."""
_CELL_NAMES = ("cell_id", "cell", "instance_id")
_AGAIN = "write the folder again with a current spatialdata"


def open_spatial_data(path: Path, options: SectionOptions) -> Section:
    """Open one section from a SpatialData folder.

    The table's shapes give the positions: their own coordinates are taken for full-resolution pixels. An
    image that lies straight above them in a common coordinate system becomes the slide. The µm per pixel are
    those of bins, of a coordinate system in µm, of the image, or those that attributes state.

    `path`: a zarr folder with `tables`, `shapes` and `images`. `options`: as for h5ad files; `bin_um` chooses
    among several tables of Visium HD bins, 8 µm where not given. Raises `SectionError` if it is damaged,
    reaches out of the folder, or is not one section; `DependencyError` if spatialdata is not installed.
    """
    check_zarr(path)
    data = _read(path)
    key = _choose_table(data, options.bin_um, path)
    table = data.tables[key]
    region, instances = _region_of(table, path)
    shapes, instances = _shapes_of(table, region, instances, data)
    found = _BIN.search(key) or _BIN.search(region)
    if found is not None:
        side = float(found[1])
        options = replace(options, pitch_um=options.pitch_um or side, spot_um=options.spot_um or side)
    image, mpp, whole = None, None, region or "what its table belongs to"
    doubts = [f"{whole} is no element of shapes: no image can be laid beneath"]
    if shapes is not None:
        outlined = found is None and "radius" not in shapes.columns
        table, sizes, lost = _joined(table, instances, shapes, path)
        size = float(np.median(sizes)) * (2 / np.pi**0.5 if outlined else 1)  # of the root of an area
        image, by_image, doubts = _image(data, shapes, path)
        doubts += lost
        mpp = _mpp(data, found, shapes, sizes, path) or by_image
        if mpp is not None and outlined:
            doubts += cell_doubts(size * mpp)
        if mpp is not None and by_image is not None and abs(by_image / mpp - 1) > SAME_MPP:
            doubts.append(
                f"its image states {by_image:.4g} µm per pixel, its shapes {mpp:.4g}, which were believed"
            )
        entry = {"scalefactors": {"spot_diameter_fullres": size}}
        whose = region if len(data.tables) == 1 and "cell" not in region else section_name(path)
        table.uns.setdefault("spatial", {whose: entry})
    about = table.uns.pop("spatialdata_attrs", {})
    columns = [about.get("region_key"), about.get("instance_key")]
    table.obs = table.obs.drop(columns=[column for column in columns if column in table.obs])
    return section_of_table(table, path, options, mpp=mpp, image=image, doubts=tuple(doubts))


def _read(path: Path) -> Any:
    needed = "reading SpatialData needs the package spatialdata"
    with told_as(DependencyError, needed, ImportError, where=path, remedy=INSTALL, reason=False):
        import spatialdata
    with told_as(SectionError, "not a whole SpatialData folder", Exception, where=path, remedy=_AGAIN):
        large = _large_tables(path)
        data = spatialdata.read_zarr(path, selection=("shapes", "images", *([] if large else ["tables"])))
        for name, table in large.items():
            data.tables[name] = table
        return data


def _large_tables(path: Path) -> dict[str, AnnData]:
    """All tables, where one is a prediction so large that it stays on disk, see `read_lazily`; else none."""
    import anndata
    import zarr

    if not (path / "tables").is_dir():
        return {}
    stored = zarr.open_group(path / "tables", mode="r")
    found = {name: read_lazily(group) for name, group in stored.groups()}
    if all(table is None for table in found.values()):
        return {}
    whole = {name: anndata.read_zarr(path / "tables" / name) for name in found if found[name] is None}
    return {name: table for name, table in (found | whole).items() if table is not None}


def _choose_table(data: Any, bin_um: float | None, path: Path) -> str:
    """The one table with positions; of several sizes of bins the one that is wanted, 8 µm, or the finest."""
    names = [str(name) for name in data.tables]
    if not names:
        raise SectionError("it holds no table", where=path, remedy=_AGAIN)
    placed = [name for name in names if _is_placed(data.tables[name], data)]
    bins = {float(found[1]): name for name in placed if (found := _BIN.search(name))}
    wanted = bin_um or (8.0 if 8.0 in bins else min(bins, default=0.0))
    if len(placed) > 1 and wanted in bins:
        return bins[wanted]
    if len(placed) < 2 and (bin_um is None or bin_um in bins):
        return (placed or names)[0]
    remedy = "name a bin size that is among them, or write each table into a folder of its own"
    raise SectionError(f"it holds {len(names)} tables ({examples(names)})", where=path, remedy=remedy)


def _is_placed(table: AnnData, data: Any) -> bool:
    about = table.uns.get("spatialdata_attrs")
    named = about.get("region", []) if isinstance(about, Mapping) else []
    return "spatial" in table.obsm or any(str(each) in data.shapes for each in np.ravel(named))


def _region_of(table: AnnData, path: Path) -> tuple[str, list[Any]]:
    """What the table says that it belongs to, and to which part of it each spot."""
    about = table.uns.get("spatialdata_attrs")
    about = about if isinstance(about, Mapping) else {}
    regions = [str(each) for each in np.atleast_1d(np.asarray(about.get("region", []), dtype=object))]
    if len(regions) > 1:
        problem = f"its table belongs to {examples(regions)}, which is not one section"
        raise SectionError(problem, where=path, remedy="write one section with its spots or bins as shapes")
    key = about.get("instance_key")
    return (regions or [""])[0], list(table.obs[key]) if key in table.obs else []


def _shapes_of(table: AnnData, region: str, instances: list[Any], data: Any) -> tuple[Any, list[Any]]:
    """The shapes of a table's spots: those it names, or those of which most cells are; None without."""
    if region in data.shapes:
        return data.shapes[region], instances
    named = [list(table.obs[key]) for key in _CELL_NAMES if key in table.obs]
    for _, shapes in sorted(data.shapes.items(), key=lambda item: "nucle" in item[0]):
        for names in (*named, list(table.obs_names)):
            if 2 * len(set(names) & set(shapes.index)) > len(names):
                return shapes, names
    return None, []


def _joined(
    table: AnnData, instances: list[Any], shapes: Any, path: Path
) -> tuple[AnnData, NDArray[np.float64], list[str]]:
    """The spots that have a shape, placed at its centre, their sizes, and what is lost."""
    index = list(shapes.index)
    if twice := repeated([str(each) for each in index]):
        raise SectionError(f"shapes listed twice: {examples(twice)}", where=path, remedy=_AGAIN)
    rows = rows_among(instances, index)
    lost = [str(each) for each, row in zip(instances, rows, strict=True) if row < 0]
    if 2 * len(lost) > len(rows) or not len(rows):
        raise SectionError(
            f"spots without a shape: {examples(lost) or 'all of them'}", where=path, remedy=_AGAIN
        )
    table = table[rows >= 0].copy() if lost else table
    rows = rows[rows >= 0]
    chosen = shapes.geometry.iloc[rows]
    middle = chosen.centroid
    places = np.column_stack([middle.x.to_numpy(), middle.y.to_numpy()])
    if "radius" in shapes.columns:
        sizes = 2 * shapes["radius"].to_numpy()[rows]
    else:
        sizes = np.sqrt(chosen.area.to_numpy())
        _refuse_apart(table.obsm.get("spatial"), places, float(np.median(sizes)), shapes, path)
    table.obsm["spatial"] = places
    said = [f"spots without a shape were left out ({len(lost)}): {examples(lost)}"] if lost else []
    return table, np.asarray(sizes, dtype=np.float64), said


def _refuse_apart(held: Any, places: NDArray[np.float64], wide: float, shapes: Any, path: Path) -> None:
    """Refuse centres of spots, where the table holds some, that lie elsewhere than its outlines.

    `places` (spots, 2): centres of the outlines as (x, y), which may lie as the table's do in any of the
    outlines' coordinate systems; `wide`: an outline's usual width.
    """
    centres = np.asarray(held)
    if held is None or centres.ndim != 2 or centres.shape[1] < 2 or centres.dtype.kind not in "iuf":
        return
    centres = centres[:, :2].astype(np.float64)
    away = []
    for matrix in (np.eye(3), *_systems(shapes).values()):
        moved = places @ matrix[:2, :2].T + matrix[:2, 2]
        apart = np.hypot(*(moved - centres).T)
        away.append(float(np.nanmedian(apart)) / (wide * _growth(matrix)))
    if not min(away) > _APART:
        return
    raise SectionError(
        f'the centres in obsm["spatial"] and the outlines of its cells contradict each other: they lie '
        f"{away[0]:.3g} of the cells' own diameters apart",
        where=path,
        remedy='mend the one that is wrong, or take obsm["spatial"] out of the table',
    )


def _systems(shapes: Any) -> dict[str, NDArray[np.float64]]:
    """How shapes lie in each coordinate system, of (x, y, 1), shape (3, 3)."""
    from spatialdata.transformations import get_transformation

    found = get_transformation(shapes, get_all=True)
    return {str(name): each.to_affine_matrix(*_AXES) for name, each in found.items()}


def _growth(matrix: NDArray[np.float64]) -> float:
    """How many times longer lengths become."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))


def _mpp(
    data: Any, own: re.Match[str] | None, shapes: Any, sizes: NDArray[np.float64], path: Path
) -> float | None:
    """µm per pixel by what is stated: the side of Visium HD bins, own or beside, a coordinate system in µm,
    attributes, or a reader whose shapes are in µm."""
    if own is not None:
        return float(own[1]) / float(np.median(sizes))
    systems = _systems(shapes)
    for name, matrix in systems.items():
        if um_of(name) == 1:
            return _growth(matrix)
    for holder in (data.attrs, *(each for each in data.attrs.values() if isinstance(each, Mapping))):
        for key in _STATED:
            if (stated := number_in(holder, key, path)) is not None:
                return stated
    reader = str(data.attrs.get("spatialdata_io_reader"))
    if reader in _IN_MICROMETRES and any(abs(_growth(one) - 1) > SAME_SCALE for one in systems.values()):
        return 1.0
    for name in data.shapes:
        found = _BIN.search(name)
        bins = data.shapes[name]
        if found is not None and "radius" not in bins.columns and len(bins):
            return float(found[1]) / float(np.sqrt(bins.area.median()))
    return None


def _image(data: Any, shapes: Any, path: Path) -> tuple[Slide | None, float | None, list[str]]:
    """The finest image that lies straight above the shapes, the µm per unit of theirs that it states, and
    what is doubtful."""
    from spatialdata.transformations import get_transformation

    beneath = _systems(shapes)
    slides: list[tuple[Slide, float | None]] = []
    doubts = []
    for name in data.images:
        above = get_transformation(data.images[name], get_all=True)
        common = sorted(set(above) & set(beneath))
        if not common:
            continue
        try:
            to_shapes = np.linalg.inv(beneath[common[0]])
            matrix = to_shapes @ above[common[0]].to_affine_matrix(*_AXES)
            slide = opened(path / "images" / name)
        except (SlideError, ValueError, np.linalg.LinAlgError) as error:
            problem = error.problem if isinstance(error, SlideError) else "it lies nowhere"
            doubts.append(f"the image {name} cannot be used ({problem})")
            continue
        scale = float(np.sqrt(abs(matrix[0, 0] * matrix[1, 1])))
        if _straight(matrix, scale):
            above_all = replace(rebased(slide, scale), path=path / "images" / name, vendor=IN_ZARR, url="")
            slides.append((above_all, slide.mpp and slide.mpp / scale))
        else:
            doubts.append(f"the image {name} lies turned or shifted on the spots and was left out")
    finest, mpp = min(slides, key=lambda one: one[0].levels[0].downsample, default=(None, None))
    return finest, mpp, doubts


def _straight(matrix: NDArray[np.float64], scale: float) -> bool:
    """Whether a transformation only enlarges, up to a pixel."""
    wanted = np.diag([scale, scale, 1.0])
    if not 0 < scale < np.inf or np.any(np.abs(matrix - wanted)[:2, :2] >= SAME_SCALE * scale):
        return False
    return bool(np.all(np.abs(matrix[:2, 2]) <= scale))
