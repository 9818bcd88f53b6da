"""Drawn shapes, painted points and maps of a session: all about them lies in the session file itself."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from histoscribe.palette import DRAWN
from histoscribe.widgets.layers.colours import DIFFERENCE
from histoscribe.widgets.layers.layers import UM, affine_of
from histoscribe.widgets.layers.maps import Map
from histoscribe.widgets.layers.view_state import COLOUR_MAPS
from histoscribe.widgets.session.schema import DrawnMap, DrawnPoints, DrawnShapes

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer, Points, Shapes


def pack_shapes(layer: Shapes) -> DrawnShapes:
    """A layer of drawn shapes as a session file holds it."""
    return DrawnShapes.of(
        **_common(layer),
        data=[np.asarray(corners, dtype=float).tolist() for corners in layer.data],
        types=[str(kind) for kind in layer.shape_type],
        edge_color=np.asarray(layer.edge_color, dtype=float).reshape(-1, 4).tolist(),
        edge_width=[float(width) for width in layer.edge_width],
        metadata={
            str(name): kept for name, value in layer.metadata.items() if (kept := _plain(value)) is not None
        },
    )


def pack_points(layer: Points) -> DrawnPoints:
    """A layer of painted points as a session file holds it."""
    return DrawnPoints.of(
        **_common(layer),
        data=np.asarray(layer.data, dtype=float).tolist(),
        size=np.asarray(layer.size, dtype=float).tolist(),
    )


def add_points(viewer: ViewerModel, points: DrawnPoints, name: str) -> Layer:
    """Add what `pack_points` gave."""
    return viewer.add_points(
        np.asarray(points.data, dtype=float).reshape(-1, 2),
        size=points.size or 10,
        face_color=np.asarray(points.face_color, dtype=float).reshape(-1, 4),
        border_width=0,
        **_placed(points, name),
    )


def add_shapes(viewer: ViewerModel, shapes: DrawnShapes, name: str) -> Layer:
    """Add what `pack_shapes` gave."""
    return viewer.add_shapes(
        [np.asarray(corners, dtype=float) for corners in shapes.data] or None,
        ndim=2,
        shape_type=list(shapes.types) or "polygon",
        edge_color=np.asarray(shapes.edge_color).reshape(-1, 4) if shapes.data else DRAWN,
        face_color=np.asarray(shapes.face_color).reshape(-1, 4) if shapes.data else "transparent",
        edge_width=list(shapes.edge_width) or 1,
        metadata=dict(shapes.metadata),
        **_placed(shapes, name),
    )


def pack_map(found: Map) -> DrawnMap:
    """A map as a session file holds it."""
    values = np.asarray(found.values).tolist()
    if not found.classes:
        values = [round(value, 6) if math.isfinite(value) else None for value in map(float, values)]
    return DrawnMap.of(**vars(found) | {"values": values})


def map_from(packed: DrawnMap, spots: int) -> Map:
    """What `pack_map` was given; `ValueError` if of other spots, nameless classes or unknown colours."""
    values = np.array(packed.values, dtype=float)
    if len(values) != spots:
        raise ValueError("a map of other spots")
    if packed.colours not in (DIFFERENCE, *COLOUR_MAPS):
        raise ValueError("a map in unknown colours")
    if packed.classes:
        if not np.isin(values, np.arange(len(packed.classes))).all():
            raise ValueError("a map of classes without names")
        values = values.astype(np.int64)
    return Map(**dict(packed) | {"values": values})


def _common(layer: Shapes | Points) -> dict[str, Any]:
    """Where a layer lies, in which units, and what it says of its shapes or points."""
    features = {str(name): _plain(layer.features[name].tolist()) for name in layer.features}
    return {
        "face_color": np.asarray(layer.face_color, dtype=float).reshape(-1, 4).tolist(),
        "affine": affine_of(layer).tolist(),
        "units": UM if str(layer.units[0]) in (UM, "micrometer") else "pixel",
        "features": {name: values for name, values in features.items() if values is not None},
    }


def _placed(drawn: DrawnShapes | DrawnPoints, name: str) -> dict[str, Any]:
    import pandas as pd

    return {
        "name": name,
        "affine": np.asarray(drawn.affine),
        "units": (drawn.units, drawn.units),
        "features": pd.DataFrame(drawn.features) if drawn.data else None,
    }


def _plain(value: Any) -> Any:
    """The value where JSON can hold it, else None."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        return None
