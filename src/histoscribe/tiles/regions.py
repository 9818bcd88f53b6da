"""Drawn regions: named, coloured areas of a slide."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histoscribe.errors import RegionError

Colour = tuple[int, int, int]

UNCLASSIFIED: Colour = (255, 0, 0)
"""The colour of a region without one: QuPath's default for annotations."""


@dataclass(frozen=True, eq=False)
class Region:
    """One area of a slide with its class, as QuPath's annotations have.

    Parameters
    ----------
    name : str
        Its class, e.g. `Tumor`; empty where it has none.
    colour : (int, int, int)
        Red, green and blue of the class, 0 to 255.
    polygon : array of float64, shape (points, 2)
        The outline as (row, column) in full-resolution pixels; closed by itself, a repeated last point is
        dropped. Kept read-only.
    holes : sequence of array, each of shape (points, 2)
        Areas within the outline that do not belong to it.
    label : str
        The name of this one area; empty where it has none.

    Raises
    ------
    RegionError
        If an outline has fewer than three corners, a point is not finite, or the colour is none.
    """

    name: str
    colour: Colour
    polygon: NDArray[np.float64]
    holes: tuple[NDArray[np.float64], ...] = ()
    label: str = ""

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
        words = (self.name, self.colour, self.label) == (other.name, other.colour, other.label)
        mine, theirs = (self.polygon, *self.holes), (other.polygon, *other.holes)
        return words and len(mine) == len(theirs) and all(map(np.array_equal, mine, theirs))

    __hash__ = None  # type: ignore[assignment]

    @property
    def outline(self) -> NDArray[np.float64]:
        """Polygon and holes as one closed outline, joined by cuts without width."""
        closed = [np.concatenate((ring, ring[:1])) for ring in (self.polygon, *self.holes)]
        back = self.polygon[:1]
        return np.concatenate([closed[0], *(part for hole in closed[1:] for part in (hole, back))])

    def contains(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Which points lie in the region, by the even-odd rule.

        Parameters
        ----------
        points : array, shape (points, 2)
            (row, column) in full-resolution pixels, such as `section.centres`.

        Returns
        -------
        ndarray of bool, shape (points,)
        """
        places = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        order = np.argsort(places[:, 0], kind="stable")
        rows, columns = places[order, 0], places[order, 1]
        inside = np.zeros(len(places), dtype=np.bool_)
        for start, end in _edges(self.polygon, *self.holes):
            low, high = (start, end) if start[0] <= end[0] else (end, start)
            first, last = np.searchsorted(rows, (low[0], high[0]), side="left")
            if first == last:
                continue
            share = (rows[first:last] - low[0]) / (high[0] - low[0])
            inside[first:last] ^= columns[first:last] >= low[1] + share * (high[1] - low[1])
        found = np.empty_like(inside)
        found[order] = inside
        return found


def _edges(*rings: NDArray[np.float64]) -> Iterable[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    for ring in rings:
        yield from zip(ring, np.roll(ring, -1, axis=0), strict=True)


def _ring(points: ArrayLike) -> NDArray[np.float64]:
    try:
        ring = np.array(points, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RegionError("a point is not two finite numbers") from error
    if ring.ndim != 2 or ring.shape[1] != 2 or not np.isfinite(ring).all():
        raise RegionError("a point is not two finite numbers")
    if len(ring) > 1 and np.array_equal(ring[0], ring[-1]):
        ring = ring[:-1]
    if len(ring) < 3:
        raise RegionError("an outline has fewer than three corners", remedy="draw at least a triangle")
    ring.flags.writeable = False
    return ring
