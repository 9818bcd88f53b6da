"""Maps: one value per spot, painted as a layer of its own that says what it shows and in which unit."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils import DirectLabelColormap
from numpy.typing import NDArray

from histoscribe.widgets.arrangement import is_side_by_side, side_by_side
from histoscribe.widgets.colours import Limits, colours_of
from histoscribe.widgets.discs import draw_as_discs
from histoscribe.widgets.layers import DERIVED, section_of
from histoscribe.widgets.raster import is_raster, like, recolour
from histoscribe.widgets.region_layer import PALETTE

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from histoscribe.section import Section

_MAP, _OF = "map", "map of"
_DARKER = 0.55


@dataclass(frozen=True, eq=False)
class Map:
    """What a layer is to show.

    Parameters
    ----------
    kind : str
        Of each kind, a section and gene have one layer: a second map takes the place of the first.
    title, unit : str
        In plain words, for the layer's name and the legend.
    values : ndarray, shape (spots,)
        NaN where nothing is to be shown; the number of a class where `classes` are given.
    limits : (float, float)
        Values at the ends of the colour scale.
    colours : str
        A colour map that napari knows, or `DIFFERENCE`.
    gene : str
        Empty where the map is not of one gene, or follows the gene shown.
    classes : tuple of str
        Names of the classes; empty for numbers.
    legend : str
        What the colour scale stands for, where several maps share it; the title where not given.
    """

    kind: str
    title: str
    unit: str
    values: NDArray[Any]
    limits: Limits = (0.0, 1.0)
    colours: str = "cividis"
    gene: str = ""
    classes: tuple[str, ...] = ()
    legend: str = ""


def show_map(viewer: ViewerModel, beside: Layer, found: Map) -> Layer:
    """Show a map of the section that `beside` shows, drawn likewise; its other maps are hidden.

    Returns
    -------
    Layer
        A new one, or the one that was there for this kind and gene, with the values of now.
    """
    section = section_of(beside)
    if is_side_by_side(viewer):
        side_by_side(viewer, False)
    there = find_map(viewer, section, found.kind, found.gene)
    layer = _add(viewer, beside, section, found) if there is None else there
    renew(viewer, layer, found)
    for other in maps_on(viewer, section):
        other.visible = other is layer
    return layer


def renew(viewer: ViewerModel, layer: Layer, found: Map) -> None:
    """Show another map on the layer of one of the same kind and gene."""
    if map_of(layer).title != found.title:
        layer.name = _name(layer.metadata[_OF], found)
    layer.metadata[_MAP] = found
    _paint(viewer, layer, found)


def map_of(layer: Layer) -> Map | None:
    """What a layer shows, where it was made by `show_map`."""
    return layer.metadata.get(_MAP)


def maps_on(viewer: ViewerModel, section: Section) -> list[Layer]:
    """The maps of a section that are in the layer list."""
    return [layer for layer in viewer.layers if layer.metadata.get(_OF) is section]


def find_map(viewer: ViewerModel, section: Section, kind: str, gene: str = "") -> Layer | None:
    """The layer that shows this kind of map; None where there is none."""
    for layer in maps_on(viewer, section):
        if (map_of(layer).kind, map_of(layer).gene) == (kind, gene):
            return layer
    return None


def class_colours(count: int) -> NDArray[np.float32]:
    """Colours of classes, RGBA, shape (count, 4): those of Okabe and Ito, darker where they come again."""
    colours = [
        [channel / 255 * _DARKER ** (place // len(PALETTE)) for channel in PALETTE[place % len(PALETTE)]]
        for place in range(count)
    ]
    return np.column_stack([np.reshape(colours, (count, 3)), np.ones(count)]).astype(np.float32)


def spot_at(layer: Layer, position: Sequence[float]) -> int | None:
    """The row of the spot of a section's layer at a place of the world; None where there is none."""
    if not is_raster(layer):
        row = layer.get_value(position, world=True)
        return None if row is None else int(row)
    raster = layer.metadata["raster"]
    place = np.round(np.asarray(layer.world_to_data(position))[-2:]).astype(int)
    if (place < 0).any() or (place >= raster.shape).any():
        return None
    hits = np.flatnonzero(raster.pixel == place[0] * raster.shape[1] + place[1])
    return int(hits[0]) if len(hits) else None


def spread(values: NDArray[Any]) -> Limits:
    """The 1st and 99th percentile of what is finite, never an empty interval."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (0.0, 1.0)
    return float(low), float(high if high > low else low + 1.0)


def _add(viewer: ViewerModel, beside: Layer, section: Section, found: Map) -> Layer:
    data, described, kind = like(beside, section, _name(section, found))
    described["metadata"] = {
        name: value for name, value in described["metadata"].items() if name not in ("section", "adata")
    } | {DERIVED: _MAP, _OF: section, _MAP: found}
    if kind == "image" and found.classes:
        kind, data = "labels", _labels(described["metadata"]["raster"], found)
        for name in ("colormap", "contrast_limits", "interpolation2d"):
            described.pop(name)
    return getattr(viewer, f"add_{kind}")(data, **described)


def _paint(viewer: ViewerModel, layer: Layer, found: Map) -> None:
    values = np.asarray(found.values)
    if isinstance(layer, Labels):
        import pandas as pd

        colours = class_colours(len(found.classes))
        layer.data = _labels(layer.metadata["raster"], found)
        layer.colormap = DirectLabelColormap(
            color_dict={None: "transparent", 0: "transparent"} | dict(enumerate(colours, start=1))
        )
        names = ["none", *found.classes]
        layer.features = pd.DataFrame({"index": range(len(names)), found.title: names})
        return
    if isinstance(layer, Image):
        recolour(layer, values, limits=found.limits, colour_map=found.colours)
        return
    draw_as_discs(viewer, layer)
    shown = np.asarray(found.classes, dtype=object)[values] if found.classes else values
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="property used for face_color dropped")
        layer.features = {found.title: shown}
    if found.classes:
        layer.face_color = class_colours(len(found.classes))[values]
    else:
        layer.face_color = colours_of(values, found.limits, found.colours)


def _labels(raster: Any, found: Map) -> NDArray[np.int32]:
    return np.nan_to_num(raster.image(np.asarray(found.values) + 1)).astype(np.int32)


def _name(section: Section, found: Map) -> str:
    return f"{section.name}: {found.title} ({found.unit})"
