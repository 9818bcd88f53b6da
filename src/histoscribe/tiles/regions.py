"""Drawn regions: named, coloured areas of a slide, with shapely's geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histoscribe.arrays import Mask, Numbers, Wide
from histoscribe.errors import RegionError, told_as

if TYPE_CHECKING:
    from shapely import Polygon

Colour = tuple[int, int, int]

UNCLASSIFIED: Colour = (255, 0, 0)
"""The colour of a region without one: QuPath's default for annotations."""


@dataclass(frozen=True, eq=False)
class Region:
    """One area of a slide with its class, as QuPath's annotations have.

    Raises
    ------
    RegionError
        If an outline has fewer than three corners, a point is not finite, or the colour is none.
    """

    name: str
    """Its class, e.g. `Tumor`; empty where it has none."""
    colour: Colour
    """Red, green and blue of the class, 0 to 255."""
    polygon: Wide
    """The outline as (row, column) in full-resolution pixels, shape (points, 2); closed by itself, a repeated
    last point is dropped. Kept read-only."""
    holes: tuple[Wide, ...] = ()
    """Areas within the outline that do not belong to it, each of shape (points, 2)."""
    label: str = ""
    """The name of this one area; empty where it has none."""
    identity: str = ""
    """Of the annotation that it is (a part of): parts of one annotation share it; empty where unknown."""
    other: str = ""
    """What else that annotation says of itself (locked, measurements, metadata, ellipse), as JSON."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "polygon", _ring(self.polygon))
        object.__setattr__(self, "holes", tuple(_ring(hole) for hole in self.holes))
        colour = tuple(int(part) for part in self.colour)
        if len(colour) != 3 or not all(0 <= part <= 255 for part in colour):
            raise RegionError(f"{self.colour} is no colour", remedy="give red, green and blue, 0 to 255 each")
        object.__setattr__(self, "colour", colour)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Region):
            return NotImplemented
        words = ("name", "colour", "label", "identity", "other")
        mine, theirs = (self.polygon, *self.holes), (other.polygon, *other.holes)
        alike = all(getattr(self, word) == getattr(other, word) for word in words)
        return alike and len(mine) == len(theirs) and all(map(np.array_equal, mine, theirs))

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def geometry(self) -> Polygon:
        """The area as shapely's polygon in (row, column), its holes as interiors."""
        return _polygons([self])[0]

    @cached_property
    def area(self) -> float:
        """Square full-resolution pixels, holes left out; even-odd where the outline crosses itself."""
        return float(areas([self])[0])

    @property
    def outline(self) -> Wide:
        """Polygon and holes as one closed outline, shape (points, 2), joined by cuts without width.

        `rings_of` takes it apart again, also after it was moved, turned or stretched as a whole.
        """
        closed = [np.concatenate((ring, ring[:1])) for ring in (self.polygon, *self.holes)]
        back = self.polygon[:1]
        return np.concatenate([closed[0], *(part for hole in closed[1:] for part in (hole, back))])

    def contains(self, points: ArrayLike) -> Mask:
        """Which points lie in the region, by the even-odd rule; not those on its edge.

        Parameters
        ----------
        points : array, shape (points, 2)
            (row, column) in full-resolution pixels, such as `section.centres`.

        Returns
        -------
        ndarray of bool, shape (points,)
        """
        import shapely

        places = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        if not encloses(self.geometry):
            return np.zeros(len(places), dtype=np.bool_)
        shapely.prepare(self.geometry)
        found: Mask = shapely.contains_xy(self.geometry, places[:, 0], places[:, 1])
        return found


def encloses(area: Polygon) -> bool:
    """Whether anything lies inside, by the even-odd rule.

    GEOS takes a line to and fro along its bounds for the rectangle, and wings that run opposite ways cancel
    each other in its area.
    """
    import shapely

    return bool(area.area or shapely.make_valid(area).area)


def geometries(regions: Sequence[Region]) -> NDArray[np.object_]:
    """The area of each region as shapely's polygon in (row, column), made together; shape (regions,)."""
    new = [region for region in regions if "geometry" not in vars(region)]
    for region, one in zip(new, _polygons(new), strict=True):
        vars(region)["geometry"] = one
    found = np.empty(len(regions), dtype=object)
    found[:] = [vars(region)["geometry"] for region in regions]
    return found


def _polygons(regions: Sequence[Region]) -> Any:
    import shapely

    rings = [ring for region in regions for ring in (region.polygon, *region.holes)]
    sizes, counts = [len(ring) for ring in rings], [len(region.holes) + 1 for region in regions]
    points = np.concatenate(rings) if rings else np.empty((0, 2))
    lines = shapely.linearrings(points, indices=np.repeat(np.arange(len(rings)), sizes))
    return shapely.polygons(lines, indices=np.repeat(np.arange(len(regions)), counts))


def areas(regions: Sequence[Region]) -> Wide:
    """Of each region as `Region.area` has it, shape (regions,)."""
    import shapely

    new = [region for region in regions if "area" not in vars(region)]
    found = geometries(new)
    crossed = ~shapely.is_valid(found)
    found[crossed] = shapely.make_valid(found[crossed])
    for region, size in zip(new, shapely.area(found).tolist(), strict=True):
        vars(region)["area"] = size
    return np.array([region.area for region in regions], dtype=np.float64)


def moved_regions(regions: Sequence[Region], affine: ArrayLike) -> list[Region]:
    """Regions through a matrix, shape (3, 3), of (row, column, 1)."""
    matrix = np.asarray(affine, dtype=np.float64)
    larger = abs(np.linalg.det(matrix[:2, :2]))
    rings = [ring for region in regions for ring in (region.polygon, *region.holes)]
    points = np.concatenate(rings) @ matrix[:2, :2].T + matrix[:2, 2]
    points.flags.writeable = False
    parts = iter(np.split(points, np.cumsum([len(ring) for ring in rings])[:-1]))
    found = []
    for region in regions:
        again = object.__new__(Region)  # what was checked once is not checked again
        kept = {name: value for name, value in vars(region).items() if name != "geometry"}
        if "area" in kept:
            kept["area"] *= larger
        holes = (next(parts), *(next(parts) for _ in region.holes))
        vars(again).update(kept, polygon=holes[0], holes=holes[1:])
        found.append(again)
    return found


def region_at(regions: Sequence[Region], points: ArrayLike) -> Numbers:
    """The last of the regions that holds each point; quick for many regions and many points.

    Parameters
    ----------
    points : array, shape (points, 2)
        (row, column) in full-resolution pixels.

    Returns
    -------
    ndarray of int64, shape (points,)
        A place in `regions`; -1 outside all.
    """
    import shapely

    places = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    found = np.full(len(places), -1, dtype=np.int64)
    known = np.flatnonzero(np.isfinite(places).all(axis=1))
    if len(regions) and len(known):
        tree = shapely.STRtree(shapely.points(places[known]))
        region, place = tree.query(geometries(regions), predicate="contains")
        np.maximum.at(found, known[place], region)
    return found


def rings_of(outline: ArrayLike, sizes: str = "") -> tuple[Wide, tuple[Wide, ...]]:
    """Take an outline as `Region.outline` joins it apart into its polygon and its holes.

    Parameters
    ----------
    outline : array, shape (points, 2)
    sizes : str
        How many points each ring had: where none was added or taken away, rings are told by that and not by
        where they close, so that single points may have been moved.

    Returns
    -------
    polygon : ndarray of float64, shape (points, 2)
        All of the outline where it is not joined in this way.
    holes : tuple of ndarray, each of shape (points, 2)
    """
    points = np.asarray(outline, dtype=np.float64)
    known = [int(size) for size in sizes.split() if size.isdigit()]
    if known and sum(known) + 2 * len(known) - 1 == len(points):
        starts = np.cumsum([0, *(size + 1 + (place > 0) for place, size in enumerate(known))])
        first, *holes = (points[start : start + size] for start, size in zip(starts[:-1], known, strict=True))
        return first, tuple(holes)
    rings, start = [], 0
    while start < len(points):
        again = np.flatnonzero((points[start + 1 :] == points[start]).all(axis=1))
        if not len(again):
            return points, ()
        end = start + 1 + int(again[0])
        rings.append(points[start:end])
        # after a hole's end the outline goes back to its own first point
        if len(rings) > 1 and not (end + 1 < len(points) and np.array_equal(points[end + 1], points[0])):
            return points, ()
        start = end + 1 + (len(rings) > 1)
    return rings[0], tuple(rings[1:])


def _ring(points: ArrayLike) -> Wide:
    with told_as(RegionError, "a point is not two finite numbers", TypeError, ValueError, reason=False):
        ring = np.array(points, dtype=np.float64)
    if ring.ndim != 2 or ring.shape[1] != 2 or not np.isfinite(ring).all():
        raise RegionError("a point is not two finite numbers")
    if len(ring) > 1 and ring[0].tolist() == ring[-1].tolist():
        ring = ring[:-1]
    if len(ring) < 3:
        raise RegionError("an outline has fewer than three corners", remedy="draw at least a triangle")
    ring.flags.writeable = False
    return ring
