"""Shapes with a class that has a name and a colour, to and from regions of a slide; what they were before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer, Shapes
from napari.utils.notifications import show_info
from pandas import DataFrame

from histoscribe.arrays import Wide
from histoscribe.errors import RegionError
from histoscribe.section.registration.transform import through
from histoscribe.tiles import Region, is_locked, marked_ellipse, moved_regions, rings_of
from histoscribe.widgets.jobs.loading import lent
from histoscribe.widgets.layers.layers import (
    PIXEL,
    UM,
    LayerData,
    affine_of,
    has_lengths,
    moved,
    placed,
    to_pixels,
)
from histoscribe.widgets.layers.pictures.drawn_regions import (
    FILL,
    MANY,
    held_regions,
    picture_of_regions,
    placing_of,
)

Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
"""The colours of Okabe and Ito, told apart without colour vision."""

CLASS = "class"
_CLOSED = ("polygon", "rectangle", "ellipse")
_ARC = np.linspace(0, 2 * np.pi, 72, endpoint=False)
_EDGE_UM = 8
_MOST_UNDONE = 30
_COLUMNS = ("shape_type", "edge_color", "face_color", "edge_width", "features")
_histories: WeakKeyDictionary[Shapes, History] = WeakKeyDictionary()
LABEL, _ANNOTATION, _RINGS, OTHER = "label", "annotation", "rings", "other"


def is_region_layer(layer: Layer) -> bool:
    """Whether a layer holds drawn shapes that may have classes, or is a picture of many."""
    return (isinstance(layer, Shapes) and layer.ndim == 2) or bool(held_regions(layer))


def add_region_layer(viewer: ViewerModel) -> Shapes:
    """Add an empty layer to draw regions in."""
    layer = Shapes(ndim=2, name="regions", units=(UM, UM), features={CLASS: np.zeros(0, dtype=object)})
    viewer.add_layer(layer)
    return layer


def warm_up() -> None:
    """Have napari's drawing of shapes compiled on any thread; the first shape would wait for it."""
    with lent():
        Shapes([np.array([[0, 0], [0, 9], [9, 9.0]])], shape_type="polygon")


def described_regions(
    regions: Sequence[Region], mpp: float, name: str, beneath: Layer | None = None
) -> LayerData:
    """Describe regions in full-resolution pixels of `mpp` µm as one layer of shapes in µm; many as a picture.

    With the layer of their section or slide they lie where that was moved.
    """
    if len(regions) > MANY:
        picture = picture_of_regions(regions, mpp, name)
        return picture if beneath is None else placed(picture, moved(beneath))
    described = {
        "name": name,
        "shape_type": "polygon",
        "units": (UM, UM),
        "features": _features(regions),
        **_colours(regions),
    }
    drawn = [region.outline * mpp for region in regions], described, "shapes"
    return drawn if beneath is None else placed(drawn, moved(beneath))


def add_regions(layer: Shapes, regions: Sequence[Region], beneath: Layer) -> None:
    """Add regions of a layer's section or slide; holes are joined to the outline by cuts without width."""
    if not regions:
        return
    known, back = len(layer.data), np.linalg.inv(to_pixels(beneath) @ affine_of(layer))
    layer.selected_data = set()
    layer.add_polygons([through(back, region.outline) for region in regions], **_colours(regions))
    features = layer.features.copy()
    for column, words in _features(regions).items():
        before = features[column].tolist() if column in features else [""] * known
        features[column] = [*before[:known], *words]
    set_features(layer, features)


def _features(regions: Sequence[Region]) -> dict[str, list[str]]:
    return {
        CLASS: [region.name for region in regions],
        LABEL: [region.label for region in regions],
        _ANNOTATION: [region.identity for region in regions],
        _RINGS: [" ".join(str(len(ring)) for ring in (region.polygon, *region.holes)) for region in regions],
        OTHER: [region.other for region in regions],
    }


def _colours(regions: Sequence[Region]) -> dict[str, Any]:
    return {
        "edge_color": np.array([_rgba(region.colour, 1.0) for region in regions]),
        "face_color": np.array([_rgba(region.colour, FILL) for region in regions]),
        "edge_width": _EDGE_UM,
    }


def set_features(layer: Shapes, features: DataFrame) -> None:
    """Give shapes these features; what is drawn next keeps its own, which napari would forget."""
    defaults = layer.feature_defaults.copy()
    layer.features = features
    layer.feature_defaults = {name: defaults.get(name, "") for name in features}


def use_class(layer: Shapes, name: str, colour: Colour) -> None:
    """What is drawn next has this class and colour; what is selected keeps its own."""
    layer.selected_data = set()
    if CLASS not in layer.features:
        set_features(layer, layer.features.assign(**{CLASS: ""}))
    layer.feature_defaults = {**dict.fromkeys(map(str, layer.features), ""), CLASS: name}
    layer.current_edge_color = _rgba(colour, 1.0)
    layer.current_face_color = _rgba(colour, FILL)
    layer.current_edge_width = _EDGE_UM


def give_class(layer: Shapes, rows: Sequence[int], name: str, colour: Colour) -> None:
    """Give shapes a class and its colour."""
    say_of(layer, rows, CLASS, name)
    paint_shapes(layer, rows, colour)


def say_of(layer: Shapes, rows: Sequence[int], column: str, words: str) -> None:
    """Give shapes these words in a column of the features."""
    features = layer.features.copy()
    features[column] = features[column].astype(object) if column in features else ""
    features.iloc[list(rows), features.columns.get_loc(column)] = words
    set_features(layer, features)


def paint_shapes(layer: Shapes, rows: Sequence[int], colour: Colour, *, hidden: bool = False) -> None:
    """Give shapes a colour, seen or hidden."""
    edges, faces = layer.edge_color.copy(), layer.face_color.copy()
    edges[list(rows)], faces[list(rows)] = _rgba(colour, not hidden), _rgba(colour, FILL * (not hidden))
    layer.edge_color, layer.face_color = edges, faces


def is_hidden(layer: Shapes, row: int) -> bool:
    """Whether a shape is hidden."""
    return float(layer.edge_color[row][3]) == 0


def class_colours(layer: Layer) -> dict[str, Colour]:
    """Every class that is drawn and the colour that most of it has, in the order of first use."""
    if held := held_regions(layer):
        return {region.name: region.colour for region in reversed(held)}
    classes = classes_in(layer)
    parts = np.round(255 * np.asarray(layer.edge_color)[:, :3]).astype(int).tolist()
    often = Counter(zip(classes, map(tuple, parts), strict=False)).most_common()  # napari may keep one more
    colours = dict(pair for pair, _ in reversed(often))
    return {name: colours[name] for name in dict.fromkeys(classes)}


def regions_of(layer: Layer, beneath: Layer | None = None) -> list[Region]:
    """The closed shapes as regions, holes as they were read; see `drawn_regions` for the rest."""
    if held := held_regions(layer):
        affine = placing_of(layer) if beneath is None else to_pixels(beneath) @ placing_of(layer)
        if np.allclose(affine, np.eye(3), atol=1e-6):
            return list(held)
        return moved_regions(held, affine)
    names, labels, annotations, rings, others = (
        words_in(layer, column) for column in (CLASS, LABEL, _ANNOTATION, _RINGS, OTHER)
    )
    regions = []
    for row, outline in zip(closed_shapes(layer), drawn_regions(layer, beneath), strict=True):
        other = marked_ellipse(others[row]) if layer.shape_type[row] == "ellipse" else others[row]
        own = labels[row], annotations[row], other
        regions.append(Region(names[row], colour_of(layer, row), *rings_of(outline, rings[row]), *own))
    return regions


def closed_shapes(layer: Shapes) -> list[int]:
    """The rows of the polygons of at least three corners, rectangles and ellipses of a layer."""
    kinds = zip(layer.shape_type, layer.data, strict=True)
    return [row for row, (kind, corners) in enumerate(kinds) if kind in _CLOSED and len(corners) > 2]


def drawn_regions(shapes: Layer, beneath: Layer | None = None, name: str | None = None) -> list[Wide]:
    """The closed shapes (of a class) as polygons, shape (corners, 2), wherever all this was moved.

    They are (row, column) in full-resolution pixels of the section or slide beneath; in the world without
    one. An ellipse becomes 72 corners. Raises `RegionError` if nothing closed is drawn, or its units are
    neither lengths nor pixels.
    """
    units = {str(unit) for unit in shapes.units[-2:]}
    if not has_lengths(shapes) and units != {PIXEL}:
        problem = f"what is drawn is in units of {' and '.join(sorted(units))}, which have no length in µm"
        raise RegionError(problem, where=shapes.name, remedy="give the layer units of length, such as um")
    if held_regions(shapes):
        regions = regions_of(shapes, beneath)
        return [region.polygon for region in regions if name is None or region.name == name]
    polygons = []
    classes, kinds, data = classes_in(shapes), shapes.shape_type, shapes.data
    affine = affine_of(shapes) if beneath is None else to_pixels(beneath) @ affine_of(shapes)
    for row in closed_shapes(shapes):
        if name is None or classes[row] == name:
            corners = np.asarray(data[row], dtype=float)[:, -2:]
            if kinds[row] == "ellipse":  # inside a box of four corners, in the order napari keeps them
                across, along = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
                arc = np.outer(np.cos(_ARC), across) + np.outer(np.sin(_ARC), along)
                corners = corners.mean(axis=0) + arc
            polygons.append(through(affine, corners))
    if not polygons:
        problem = "no closed shape is drawn in this layer" + (f" for {name!r}" if name else "")
        remedy = "draw a polygon, a rectangle or an ellipse around the tissue of interest"
        raise RegionError(problem, where=shapes.name, remedy=remedy)
    return polygons


def classes_in(shapes: Layer) -> list[str]:
    """The class of every shape; empty where it has none."""
    if held := held_regions(shapes):
        return [region.name for region in held]
    return words_in(shapes, CLASS)


def words_in(shapes: Shapes, column: str) -> list[str]:
    """A column of the features, of which napari may leave a row too many; empty where it holds nothing."""
    if column not in shapes.features:
        return [""] * shapes.nshapes
    rows = shapes.features[column].tolist()[: shapes.nshapes]
    return ["" if one is None or one != one else str(one) for one in rows]


def colour_of(layer: Shapes, row: int) -> Colour:
    """The colour of a shape."""
    red, green, blue = (round(255 * float(part)) for part in layer.edge_color[row][:3])
    return red, green, blue


def _rgba(colour: Colour, opacity: float) -> list[float]:
    return [*(part / 255 for part in colour), opacity]


class History:
    """The states that one layer of regions was in."""

    def __init__(self, layer: Shapes) -> None:
        self._layer = layer
        self._now, self._before = self._state(), list[dict[str, Any]]()
        self._busy = False
        layer.events.data.connect(self._on_data)
        layer.events.features.connect(self._on_features)

    @property
    def undoable(self) -> bool:
        """Whether there is an earlier state."""
        return bool(self._before)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Make one step of all that is done to the regions meanwhile."""
        self._push()
        self._busy = True
        try:
            yield
        finally:
            self._busy, self._now = False, self._state()

    def undo(self) -> None:
        """Go back by one step."""
        if self._before:
            self._now = self._before.pop()
            self._go_back()

    def _on_data(self, event: Any) -> None:
        if self._busy or str(event.action) not in ("added", "changed", "removed"):
            return
        before, after = (self._locked(one) for one in (self._now, self._state()))
        if len(before) == len(after) and all(map(np.array_equal, before, after)):
            self._push()
            self._now = self._state()
        else:
            self._go_back()
            show_info("Locked regions stay as they are: unlock them in the list first.")

    def _on_features(self, *_: object) -> None:
        if not self._busy and self._layer.nshapes == len(self._now["data"]):  # else data follow
            self._now = self._state()

    def _push(self) -> None:
        self._before = [*self._before, self._now][-_MOST_UNDONE:]

    def _state(self) -> dict[str, Any]:
        layer = self._layer
        return {
            "data": list(layer.data),
            "others": words_in(layer, OTHER),
            **{name: getattr(layer, name).copy() for name in _COLUMNS},
        }

    @staticmethod
    def _locked(state: dict[str, Any]) -> list[Any]:
        return [
            one
            for one, other in zip(state["data"], state["others"], strict=True)
            if other and is_locked(other)
        ]

    def _go_back(self) -> None:
        state, layer, self._busy = self._now, self._layer, True
        layer.remove(list(range(layer.nshapes)))
        if state["data"]:
            looks = {name: state[name] for name in _COLUMNS if name != "features"}
            layer.add(state["data"], **looks)
        set_features(layer, state["features"])
        self._busy = False


def history_of(layer: Shapes) -> History:
    """The history of a layer, which begins with the first call."""
    return _histories.setdefault(layer, _histories.get(layer) or History(layer))
