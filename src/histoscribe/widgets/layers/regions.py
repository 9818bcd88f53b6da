"""Shapes with a class that has a name and a colour, to and from regions of a slide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Shapes
from numpy.typing import NDArray

from histoscribe.errors import RegionError
from histoscribe.tiles import Region, rings_of
from histoscribe.widgets.layers.layers import UM, LayerData, affine_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

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
_FILL, _EDGE_UM = 0.15, 8
_LABEL, _ANNOTATION = "label", "annotation"


def is_region_layer(layer: Layer) -> bool:
    """Whether a layer holds drawn shapes that may have classes."""
    return isinstance(layer, Shapes) and layer.ndim == 2


def add_region_layer(viewer: ViewerModel) -> Shapes:
    """Add an empty layer to draw regions in."""
    layer = Shapes(ndim=2, name="regions", units=(UM, UM), features={CLASS: np.zeros(0, dtype=object)})
    viewer.add_layer(layer)
    return layer


def described_regions(regions: Sequence[Region], mpp: float, name: str) -> LayerData:
    """Describe regions in full-resolution pixels of `mpp` µm as one layer of shapes in µm.

    Returns
    -------
    (list of outlines, keyword arguments, "shapes")
    """
    described = {
        "name": name,
        "shape_type": "polygon",
        "units": (UM, UM),
        "features": _features(regions),
        "edge_color": np.array([_rgba(region.colour, 1.0) for region in regions]),
        "face_color": np.array([_rgba(region.colour, _FILL) for region in regions]),
        "edge_width": _EDGE_UM,
    }
    return [region.outline * mpp for region in regions], described, "shapes"


def add_regions(layer: Shapes, regions: Sequence[Region], mpp: float) -> None:
    """Add regions to a layer, in µm; holes are joined to the outline by cuts without width."""
    if not regions:
        return
    known = len(layer.data)
    layer.selected_data = set()
    layer.add_polygons(
        [region.outline * mpp for region in regions],
        edge_color=np.array([_rgba(region.colour, 1.0) for region in regions]),
        face_color=np.array([_rgba(region.colour, _FILL) for region in regions]),
        edge_width=_EDGE_UM,
    )
    features = layer.features.copy()
    for column, words in _features(regions).items():
        before = features[column].tolist() if column in features else [""] * known
        features[column] = [*before[:known], *words]
    layer.features = features


def _features(regions: Sequence[Region]) -> dict[str, list[str]]:
    return {
        CLASS: [region.name for region in regions],
        _LABEL: [region.label for region in regions],
        _ANNOTATION: [region.identity for region in regions],
    }


def use_class(layer: Shapes, name: str, colour: Colour) -> None:
    """What is drawn next has this class and colour; what is selected keeps its own."""
    layer.selected_data = set()
    layer.feature_defaults = {CLASS: name}
    layer.current_edge_color = _rgba(colour, 1.0)
    layer.current_face_color = _rgba(colour, _FILL)
    layer.current_edge_width = _EDGE_UM


def give_class(layer: Shapes, rows: Sequence[int], name: str, colour: Colour) -> None:
    """Give shapes a class and its colour."""
    features = layer.features.copy()
    if CLASS not in features:
        features[CLASS] = ""
    features[CLASS] = features[CLASS].astype(object)
    features.iloc[list(rows), features.columns.get_loc(CLASS)] = name
    layer.features = features
    edges, faces = layer.edge_color.copy(), layer.face_color.copy()
    edges[list(rows)], faces[list(rows)] = _rgba(colour, 1.0), _rgba(colour, _FILL)
    layer.edge_color, layer.face_color = edges, faces


def class_colours(layer: Shapes) -> dict[str, Colour]:
    """Every class that is drawn and its colour, in the order of first use."""
    found: dict[str, Colour] = {}
    for name, colour in zip(classes_in(layer), layer.edge_color, strict=True):
        red, green, blue = (round(255 * float(part)) for part in colour[:3])
        found.setdefault(name, (red, green, blue))
    return found


def regions_of(layer: Shapes, mpp: float) -> list[Region]:
    """The closed shapes as regions in full-resolution pixels of `mpp` µm; holes come back as they were read.

    Raises
    ------
    RegionError
        If nothing closed is drawn.
    """
    colours = class_colours(layer)
    names, labels, annotations = (_words_in(layer, column) for column in (CLASS, _LABEL, _ANNOTATION))
    return [
        Region(names[row], colours[names[row]], *rings_of(outline), labels[row], annotations[row])
        for row, outline in zip(closed_shapes(layer), drawn_regions(layer, mpp), strict=True)
    ]


def closed_shapes(layer: Shapes) -> list[int]:
    """The rows of the polygons, rectangles and ellipses of a layer."""
    return [row for row, kind in enumerate(layer.shape_type) if kind in _CLOSED]


def drawn_regions(shapes: Shapes, mpp: float, name: str | None = None) -> list[NDArray[np.float64]]:
    """The closed shapes of a layer as polygons.

    Parameters
    ----------
    shapes : Shapes
        A layer drawn over a slide whose world is in µm.
    mpp : float
        µm per full-resolution pixel of that slide.
    name : str, optional
        Only shapes of this class.

    Returns
    -------
    list of ndarray, shape (corners, 2)
        (row, column) in full-resolution pixels. An ellipse becomes 72 corners.

    Raises
    ------
    RegionError
        If nothing closed is drawn.
    """
    polygons = []
    classes, affine = classes_in(shapes), affine_of(shapes)
    for row in closed_shapes(shapes):
        if name is None or classes[row] == name:
            corners = np.asarray(shapes.data[row], dtype=float)
            outline = _ellipse(corners) if shapes.shape_type[row] == "ellipse" else corners
            polygons.append((affine[:2, 2] + outline @ affine[:2, :2].T) / mpp)
    if not polygons:
        raise RegionError(
            "no closed shape is drawn in this layer" + (f" for {name!r}" if name else ""),
            where=shapes.name,
            remedy="draw a polygon, a rectangle or an ellipse around the tissue of interest",
        )
    return polygons


def classes_in(shapes: Shapes) -> list[str]:
    """The class of every shape; empty where it has none."""
    return _words_in(shapes, CLASS)


def _words_in(shapes: Shapes, column: str) -> list[str]:
    """A column of the shapes' features; empty where it holds nothing."""
    if column not in shapes.features:
        return [""] * len(shapes.data)
    return ["" if one is None or one != one else str(one) for one in shapes.features[column]]


def _ellipse(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outline of the ellipse inside a box of four corners, in the order napari keeps them."""
    centre = corners.mean(axis=0)
    across, along = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    outline: NDArray[np.float64] = centre + np.outer(np.cos(_ARC), across) + np.outer(np.sin(_ARC), along)
    return outline


def _rgba(colour: Colour, opacity: float) -> list[float]:
    return [*(part / 255 for part in colour), opacity]
