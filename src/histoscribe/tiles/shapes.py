"""Regions out of what has no outline: painted pixels, and spots."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from histoscribe.arrays import Mask
from histoscribe.tiles.regions import Colour, Region

if TYPE_CHECKING:
    from shapely import Geometry


def mask_regions(mask: Mask, name: str, colour: Colour, *, smooth: float = 0.0) -> list[Region]:
    """Outline the pixels of a mask, holes included, as one annotation.

    Parameters
    ----------
    mask : ndarray of bool, shape (rows, columns)
    name, colour : str, (int, int, int)
        The regions' class.
    smooth : float
        By how many pixels an outline may leave its pixels, to have fewer corners.

    Returns
    -------
    list of Region
        In pixels of the mask, as (row, column); its first pixel's centre is (0, 0). Empty for an empty mask.
    """
    import shapely

    edges = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    (rows, starts), (_, stops) = np.nonzero(edges == 1), np.nonzero(edges == -1)
    runs = shapely.box(rows - 0.5, starts - 0.5, rows + 0.5, stops - 0.5)
    return _regions(shapely.simplify(shapely.union_all(runs), smooth), name, colour)


def spot_regions(centres: ArrayLike, pitch: float, name: str, colour: Colour) -> list[Region]:
    """Outline spots, neighbours together, as one annotation.

    `centres` (spots, 2): (row, column) in full-resolution pixels; `pitch`: their distance in the same.
    """
    import shapely

    discs = shapely.buffer(shapely.points(np.asarray(centres, dtype=np.float64)), 0.8 * pitch, quad_segs=6)
    outline = shapely.buffer(shapely.union_all(discs), -0.3 * pitch)
    return _regions(shapely.simplify(outline, 0.03 * pitch), name, colour)


def _regions(shape: Geometry, name: str, colour: Colour) -> list[Region]:
    import shapely

    parts: list[Any] = [one for one in shapely.get_parts(shape) if one.geom_type == "Polygon" and one.area]
    identity = str(uuid.uuid4()) if len(parts) > 1 else ""
    rings = [
        (np.array(one.exterior.coords), [np.array(hole.coords) for hole in one.interiors]) for one in parts
    ]
    return [Region(name, colour, outline, tuple(holes), identity=identity) for outline, holes in rings]
