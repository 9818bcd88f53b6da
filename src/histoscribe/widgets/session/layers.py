"""Drawn shapes, painted points and maps of a session: all about them lies in the session file itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.palette import DRAWN
from histoscribe.tiles import Region
from histoscribe.widgets.layers.colours import DIFFERENCE
from histoscribe.widgets.layers.layers import UM
from histoscribe.widgets.layers.maps import Map
from histoscribe.widgets.layers.view_state import COLOUR_MAPS

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer, Points, Shapes

    from histoscribe.widgets.session.file import Content

_REGIONS = "regions"


def pack_shapes(layer: Shapes) -> Content:
    """A layer of drawn shapes as JSON can hold it."""
    return {
        "data": [np.asarray(corners, dtype=float).tolist() for corners in layer.data],
        "types": [str(kind) for kind in layer.shape_type],
        "edge_color": np.asarray(layer.edge_color, dtype=float).reshape(-1, 4).tolist(),
        "face_color": np.asarray(layer.face_color, dtype=float).reshape(-1, 4).tolist(),
        "edge_width": [float(width) for width in layer.edge_width],
        "affine": _affine(layer),
        "units": _units(layer),
        "features": _features(layer),
        "metadata": {
            str(name): kept for name, value in layer.metadata.items() if (kept := _kept(value)) is not None
        },
    }


def pack_points(layer: Points) -> Content:
    """A layer of painted points as JSON can hold it."""
    return {
        "data": np.asarray(layer.data, dtype=float).tolist(),
        "size": np.asarray(layer.size, dtype=float).tolist(),
        "face_color": np.asarray(layer.face_color, dtype=float).tolist(),
        "affine": _affine(layer),
        "units": _units(layer),
        "features": _features(layer),
    }


def add_points(viewer: ViewerModel, points: Content, name: str) -> Layer:
    """Add what `pack_points` gave."""
    import pandas as pd

    return viewer.add_points(
        np.asarray(points["data"], dtype=float).reshape(-1, 2),
        name=name,
        size=points["size"] or 10,
        face_color=np.asarray(points["face_color"], dtype=float).reshape(-1, 4),
        border_width=0,
        affine=np.asarray(points["affine"]),
        units=(points["units"], points["units"]),
        features=pd.DataFrame(points["features"]),
    )


def add_shapes(viewer: ViewerModel, shapes: Content, name: str) -> Layer:
    """Add what `pack_shapes` gave."""
    import pandas as pd

    return viewer.add_shapes(
        [np.asarray(corners, dtype=float) for corners in shapes["data"]] or None,
        ndim=2,
        name=name,
        shape_type=shapes["types"] or "polygon",
        edge_color=np.asarray(shapes["edge_color"]).reshape(-1, 4) if shapes["data"] else DRAWN,
        face_color=np.asarray(shapes["face_color"]).reshape(-1, 4) if shapes["data"] else "transparent",
        edge_width=shapes["edge_width"] or 1,
        affine=np.asarray(shapes["affine"]),
        units=(shapes["units"], shapes["units"]),
        features=pd.DataFrame(shapes["features"]) if shapes["data"] else None,
        metadata={name: _regained(value) for name, value in shapes["metadata"].items()},
    )


def pack_map(found: Map) -> Content:
    """A map as JSON can hold it; None for spots without a value."""
    values = np.asarray(found.values)
    if not found.classes:
        known = np.isfinite(values)
        values = np.where(known, np.asarray(values, dtype=float).round(6), None)
    limits = [float(end) for end in found.limits]
    return vars(found) | {"values": values.tolist(), "limits": limits, "classes": list(found.classes)}


def map_from(packed: Content, spots: int) -> Map:
    """What `pack_map` was given.

    Raises
    ------
    ValueError
        If it is not of so many spots, of classes that it does not name, or in unknown colours.
    """
    classes = tuple(packed["classes"])
    values = np.array(packed["values"], dtype=float)
    if len(values) != spots:
        raise ValueError("a map of other spots")
    if packed["colours"] not in (DIFFERENCE, *COLOUR_MAPS):
        raise ValueError("a map in unknown colours")
    if classes:
        if not np.isin(values, np.arange(len(classes))).all():
            raise ValueError("a map of classes without names")
        values = values.astype(np.int64)
    return Map(**packed | {"values": values, "limits": tuple(packed["limits"]), "classes": classes})


def _affine(layer: Layer) -> list[list[float]]:
    origin, down, right = (np.asarray(layer.data_to_world(place)) for place in ((0, 0), (1, 0), (0, 1)))
    affine: NDArray[np.float64] = np.eye(3)
    affine[:2] = np.column_stack([down - origin, right - origin, origin])
    return affine.tolist()


def _units(layer: Layer) -> str:
    return UM if str(layer.units[0]) in (UM, "micrometer") else "pixel"


def _features(layer: Layer) -> Content:
    features = {str(name): _plain(layer.features[name].tolist()) for name in layer.features}
    return {name: values for name, values in features.items() if values is not None}


def _kept(value: Any) -> Any:
    """Metadata as JSON can hold it, regions with their holes included; None for everything else."""
    if not (isinstance(value, list) and value and all(isinstance(one, Region) for one in value)):
        return _plain(value)
    return {
        _REGIONS: [
            [
                one.name,
                list(one.colour),
                one.polygon.tolist(),
                [hole.tolist() for hole in one.holes],
                one.label,
            ]
            for one in value
        ]
    }


def _regained(value: Any) -> Any:
    """What `_kept` was given."""
    if not (isinstance(value, dict) and set(value) == {_REGIONS}):
        return value
    return [
        Region(str(name), tuple(colour), polygon, tuple(holes), str(label))
        for name, colour, polygon, holes, label in value[_REGIONS]
    ]


def _plain(value: Any) -> Any:
    """The value where JSON can hold it, else None."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return None
