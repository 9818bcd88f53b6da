"""Maps: one value per spot with its meaning, unit and colours, each painted on a layer of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from napari.utils import Colormap, CyclicLabelColormap
from numpy.typing import NDArray
from qtpy.QtGui import QColor

from histoscribe.arrays import Floats, Wide
from histoscribe.section import Section
from histoscribe.widgets.layers.arrangement import is_side_by_side, side_by_side, uncover
from histoscribe.widgets.layers.colours import DIFFERENCE, Limits, colours_of, table_of
from histoscribe.widgets.layers.layers import DERIVED, OF, add_layer, known_section, section_of
from histoscribe.widgets.layers.painting import dress_spots
from histoscribe.widgets.layers.raster import is_raster, like, recolour
from histoscribe.widgets.layers.regions import PALETTE
from histoscribe.widgets.layers.strips import MAPS, Strip, show_scale
from histoscribe.widgets.napari_private.discs import draw_as_discs

_DARKER = 0.55
_MAP = "map"
_SQUARE = "<span style='color: {}'>■</span>&nbsp;{}"
_NOTHING = (0.55, 0.55, 0.55, 1.0)


@dataclass(frozen=True, eq=False)
class Map:
    """What a layer is to show."""

    kind: str
    """Of each kind, a section and gene have one layer: a second map takes the place of the first."""
    title: str
    unit: str
    """`title` and `unit`: in plain words, for the layer's name and the legend; a category has no unit."""
    values: NDArray[Any]
    """NaN where nothing is to be shown; the number of a class where `classes` are given. Shape (spots,)."""
    limits: Limits = (0.0, 1.0)
    """Values at the ends of the colour scale."""
    colours: str = "cividis"
    """A colour map that napari knows, or `DIFFERENCE`."""
    gene: str = ""
    """Empty where the map is not of one gene, or follows the gene shown."""
    classes: tuple[str, ...] = ()
    """Names of the classes; empty for numbers."""
    legend: str = ""
    """What the colour scale stands for, in short; title and unit where not given."""


def strip_of(found: Map) -> Strip:
    """The colour strip of a map of numbers, with what it stands for."""
    return found.legend or f"{found.title}, {found.unit}", found.colours, found.limits


def class_palette(count: int) -> Floats:
    """Colours of classes, RGBA, shape (count, 4): those of Okabe and Ito, darker where they come again."""
    colours = [
        [channel / 255 * _DARKER ** (place // len(PALETTE)) for channel in PALETTE[place % len(PALETTE)]]
        for place in range(count)
    ]
    return np.column_stack([np.reshape(colours, (count, 3)), np.ones(count)]).astype(np.float32)


def class_inks(count: int) -> list[str]:
    """The same colours as Qt and HTML name them, #rrggbb."""
    return [QColor.fromRgbF(*map(float, colour)).name() for colour in class_palette(count)]


def class_marks(names: Sequence[str]) -> list[str]:
    """Each class in HTML: a square of its colour and its name."""
    return [_SQUARE.format(*one) for one in zip(class_inks(len(names)), map(escape, names), strict=True)]


def show_map(viewer: ViewerModel, beside: Layer, found: Map) -> Layer:
    """Show a map of the section that `beside` shows, on the layer of its kind and gene.

    All else that is shown of this tissue is hidden, but for `beside`.
    """
    section = known_section(beside)
    if is_side_by_side(viewer):
        side_by_side(viewer, False)
    there = find_map(viewer, section, found.kind, found.gene)
    layer = _add(viewer, beside, section, found) if there is None else there
    renew(viewer, layer, found)
    layer.visible = True
    uncover(viewer, layer, beside)
    show_map_scale(viewer)
    return layer


def renew(viewer: ViewerModel, layer: Layer, found: Map) -> None:
    """Show another map on the layer of one of the same kind and gene."""
    if layer.metadata[_MAP].title != found.title:
        layer.name = _name(layer.metadata[OF], found)
    layer.metadata[_MAP] = found
    _paint(viewer, layer, found)


def map_of(layer: Layer) -> Map | None:
    """What a layer shows, where it was made by `show_map`."""
    found: Map | None = layer.metadata.get(_MAP)
    return found


def show_map_scale(viewer: ViewerModel) -> None:
    """Show in the canvas the colour scale of the uppermost map that is visible and has one."""
    shown = [found for layer in viewer.layers if layer.visible and (found := map_of(layer)) is not None]
    strips = [strip_of(one) for one in shown[-1:] if not one.classes]
    show_scale(viewer, strips, MAPS)


def maps_on(viewer: ViewerModel, section: Section) -> list[Layer]:
    """The maps of a section that are in the layer list."""
    return [layer for layer in viewer.layers if layer.metadata.get(OF) is section]


def spots_of(viewer: ViewerModel, layer: Layer) -> Layer | None:
    """The layer of spots that a layer shows a map of; a layer of spots itself; None for all others."""
    if section_of(layer) is not None:
        return layer
    section = layer.metadata.get(OF)
    found = [one for one in viewer.layers if section is not None and section_of(one) is section]
    return found[0] if found else None


def find_map(viewer: ViewerModel, section: Section, kind: str, gene: str = "") -> Layer | None:
    """The layer that shows this kind of map; None where there is none."""
    for layer in maps_on(viewer, section):
        found = map_of(layer)
        if found is not None and (found.kind, found.gene) == (kind, gene):
            return layer
    return None


def spot_at(layer: Layer, position: Wide) -> int | None:
    """The row of the spot at a place of the world, on a layer of spots or a map; None where there is none."""
    if not is_raster(layer):
        row = layer.get_value(position, world=True)
        return None if row is None else int(row)
    raster = layer.metadata["raster"]
    place = np.round(np.asarray(layer.world_to_data(position))[-2:]).astype(int)
    if (place < 0).any() or (place >= raster.shape).any():
        return None
    hits = np.flatnonzero(raster.pixel == place[0] * raster.shape[1] + place[1])
    return int(hits[0]) if len(hits) else None


def _add(viewer: ViewerModel, beside: Layer, section: Section, found: Map) -> Layer:
    data, described, kind = like(beside, section, _name(section, found))
    described["metadata"] = {
        name: value for name, value in described["metadata"].items() if name not in ("section", "adata")
    } | {DERIVED: _MAP, OF: section, _MAP: found}
    described["opacity"] = 1.0  # or the colours beneath would shine through
    if kind == "image" and found.classes:
        kind, data = "labels", _labels(described["metadata"]["raster"], found)
        for name in ("colormap", "contrast_limits", "interpolation2d"):
            described.pop(name)
    layer = add_layer(viewer, (data, described, kind))
    layer.editable = False
    return layer


def _paint(viewer: ViewerModel, layer: Layer, found: Map) -> None:
    values = np.asarray(found.values)
    if isinstance(layer, Labels):
        colours = class_palette(len(found.classes))
        layer.data = _labels(layer.metadata["raster"], found)
        # a direct colour map would compile for two seconds
        layer.colormap = CyclicLabelColormap(colors=np.vstack([np.zeros(4), colours]))
        names = ["none", *found.classes]
        layer.features = pd.DataFrame({"index": range(len(names)), found.title: names})
        return
    if isinstance(layer, Image):
        if found.colours == DIFFERENCE:  # nothing is white: clear, the colours beneath would shine through
            values = np.nan_to_num(values)
        recolour(layer, values, found.limits, found.colours)
        if found.colours == DIFFERENCE:
            layer.colormap = Colormap(table_of(DIFFERENCE), name="blue to red")
        return
    draw_as_discs(viewer, layer)
    shown = np.asarray(found.classes, dtype=object)[values] if found.classes else values
    if found.classes:
        colours = class_palette(len(found.classes))[values]
    else:
        colours = colours_of(values, found.limits, found.colours)
        colours[np.isnan(values)] = _NOTHING
    dress_spots(layer, {found.title: shown}, colours)


def _labels(raster: Any, found: Map) -> NDArray[np.uint16]:
    """Classes from 1 on, 0 where there is no spot; of a type that napari colours without compiling first."""
    image: Wide = raster.image(np.asarray(found.values) + 1)
    return np.nan_to_num(image).astype(np.uint16)


def _name(section: Section, found: Map) -> str:
    return f"{section.name}: {found.title}" + f" ({found.unit})" * bool(found.unit)
