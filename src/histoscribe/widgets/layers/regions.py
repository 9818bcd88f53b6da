"""Drawn shapes as regions in full-resolution pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import RegionError

if TYPE_CHECKING:
    from napari.layers import Shapes

CLASS = "class"
_CLOSED = ("polygon", "rectangle", "ellipse")
_ARC = np.linspace(0, 2 * np.pi, 72, endpoint=False)


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
    classes = classes_in(shapes)
    for corners, kind, own in zip(shapes.data, shapes.shape_type, classes, strict=True):
        if kind not in _CLOSED or (name is not None and own != name):
            continue
        outline = _ellipse(corners) if kind == "ellipse" else np.asarray(corners, dtype=float)
        polygons.append(np.array([shapes.data_to_world(corner) for corner in outline]) / mpp)
    if not polygons:
        raise RegionError(
            "no closed shape is drawn in this layer" + (f" for {name!r}" if name else ""),
            where=shapes.name,
            remedy="draw a polygon, a rectangle or an ellipse around the tissue of interest",
        )
    return polygons


def classes_in(shapes: Shapes) -> list[str]:
    """The class of every shape; empty where it has none."""
    if CLASS not in shapes.features:
        return [""] * len(shapes.data)
    return ["" if one is None or one != one else str(one) for one in shapes.features[CLASS]]


def _ellipse(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outline of the ellipse inside a box of four corners, in the order napari keeps them."""
    corners = np.asarray(corners, dtype=float)
    centre = corners.mean(axis=0)
    across, along = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    return centre + np.cos(_ARC)[:, None] * across + np.sin(_ARC)[:, None] * along
