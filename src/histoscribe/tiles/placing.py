"""Placing tiles: on the spots of a section, or on a grid over tissue and drawn regions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histoscribe.arrays import Mask, Wide
from histoscribe.errors import RegionError, SettingError, SlideError
from histoscribe.slide.model import Slide
from histoscribe.slide.tissue import tissue_mask
from histoscribe.tiles.regions import UNCLASSIFIED, Region, encloses

if TYPE_CHECKING:
    from shapely import Polygon

    from histoscribe.section import Section

_MOST_LOOKED_AT = 100_000_000
_MOST_TILES = 10_000_000
_AT_ONCE = 2**20  # places of a grid that are looked up in a region at once


def spot_tiles(section: Section) -> Tiles:
    """One tile per spot of a section, named by its barcode."""
    return Tiles(
        centres=section.centres,
        pitch_um=section.spacing_um,
        names=tuple(str(name) for name in section.table.obs_names),
        spot_um=section.spot_um,
    )


def grid_tiles(
    slide: Slide, pitch_um: float, *, mask: bool = True, region: Sequence[Region | Wide] | None = None
) -> Tiles:
    """Tiles on a square grid whose first centre lies half a pitch inside the slide's corner.

    A place keeps its name whatever the mask and region are.

    Parameters
    ----------
    slide : Slide
        With known µm per pixel.
    pitch_um : float
        Distance of neighbouring tiles in µm.
    mask : bool
        Keep only tiles whose centre lies on tissue.
    region : sequence of Region or ndarray of shape (points, 2), optional
        Keep only tiles whose centre lies in one of these: polygons are (row, column) in full-resolution
        pixels, closed by themselves, even-odd where one crosses itself.

    Raises
    ------
    SettingError
        If the pitch is not positive, or so fine that more than 10 million tiles would be kept, or the grid
        has more than 100 million places.
    SlideError
        If the slide's µm per pixel are unknown, or no tissue is found.
    RegionError
        If no tile lies in the region.
    """
    if not (math.isfinite(pitch_um) and pitch_um > 0):
        raise SettingError(f"a grid of {pitch_um} µm is not possible", remedy="give a positive number")
    pitch = pitch_um / slide.known_mpp
    rows, columns = (max(1, math.ceil(side / pitch - 0.5)) for side in slide.shape)
    areas: list[Polygon] | None = None
    if region is not None:
        parts = (part if isinstance(part, Region) else Region("", UNCLASSIFIED, part) for part in region)
        areas = [part.geometry for part in parts]
    first, last = (0, 0), (rows, columns)
    if areas is not None:
        first, last = _window(areas, pitch, (rows, columns))
    extent = (max(0, last[0] - first[0]), max(0, last[1] - first[1]))
    _check(extent[0] * extent[1], "places", _MOST_LOOKED_AT, pitch_um)
    down, across = (
        np.arange(begin + 0.5, begin + number, dtype=np.float64) * pitch
        for begin, number in zip(first, extent, strict=True)
    )
    keep = np.ones(extent, dtype=np.bool_)
    if areas is not None:
        keep[:] = False
        for area in areas:
            _mark(keep, area, down, across)
        if not keep.any():
            remedy = "draw it larger, over the slide, or use a finer grid"
            raise RegionError("no tile lies in the drawn region", remedy=remedy)
    if mask:
        tissue, factor = tissue_mask(slide)
        keep &= _sampled(tissue, down / factor, across / factor)
        if not keep.any():
            problem = "no tissue is found there" if region is not None else "no tissue is found"
            remedy = "draw a region over it, or name one with --region"
            raise SlideError(problem, where=slide.path, remedy=remedy)
    _check(int(np.count_nonzero(keep)), "tiles", _MOST_TILES, pitch_um)
    rows_kept, columns_kept = np.nonzero(keep)
    return Tiles(
        centres=np.column_stack((down[rows_kept], across[columns_kept])),
        pitch_um=float(pitch_um),
        names=tuple(_names(keep, first)),
        spot_um=float(pitch_um),
    )


def sample_tiles(slide: Slide, pitch_um: float, most: int = 500) -> Tiles:
    """At most `most` of the tiles of `grid_tiles`, spread evenly: a slide around a region is known by
    them."""
    return grid_tiles(slide, pitch_um).spread(most)


def _names(keep: Mask, first: tuple[int, int]) -> Iterator[str]:
    """`r<row>c<column>` of every place kept, row by row."""
    ends = [f"c{column}" for column in range(first[1], first[1] + keep.shape[1])]
    for row, kept in enumerate(keep, start=first[0]):
        start = f"r{row}"
        for column in np.flatnonzero(kept).tolist():
            yield start + ends[column]


def _window(
    areas: Sequence[Polygon], pitch: float, extent: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """First place and last (exclusive) of a grid that the areas can reach, along rows and columns."""
    import shapely

    if not areas:
        return (0, 0), (0, 0)
    low, high = shapely.total_bounds(areas).reshape(2, 2)
    first = np.clip(np.floor(low / pitch - 0.5), 0, extent).astype(int)
    last = np.clip(np.ceil(high / pitch + 0.5), first, extent).astype(int)
    return (int(first[0]), int(first[1])), (int(last[0]), int(last[1]))


def _check(found: int, what: str, most: int, pitch_um: float) -> None:
    if found > most:
        problem = f"a grid of {pitch_um:g} µm has {found:,} {what} here, more than {most:,}"
        raise SettingError(problem, remedy="choose a wider grid or draw a region")


def _sampled(mask: Mask, down: Wide, across: Wide) -> Mask:
    """The mask at a grid of places given in its own pixels; False beyond it."""
    bordered = np.pad(mask, ((0, 1), (0, 1)))
    rows = np.minimum(down.astype(np.int64), mask.shape[0])
    columns = np.minimum(across.astype(np.int64), mask.shape[1])
    return np.asarray(bordered[np.ix_(rows, columns)], dtype=np.bool_)


def _mark(keep: Mask, area: Polygon, down: Wide, across: Wide) -> None:
    """Set `keep`, of shape (len(down), len(across)), where a place of a grid lies in an area."""
    import shapely

    if not encloses(area):
        return
    low, high = np.reshape(area.bounds, (2, 2))
    first, last = np.searchsorted(down, (low[0], high[0]), side="left")
    left, right = np.searchsorted(across, (low[1], high[1]), side="left")
    step = max(1, _AT_ONCE // max(1, int(right - left)))
    for top in range(int(first), int(last), step):
        rows = down[top : min(top + step, last), None]
        keep[top : top + len(rows), left:right] |= shapely.contains_xy(area, rows, across[None, left:right])


@dataclass(frozen=True, eq=False)
class Tiles:
    """Places on one slide."""

    centres: Wide
    """Centres in full-resolution pixels as (row, column), shape (tiles, 2)."""
    pitch_um: float
    """Distance of neighbouring tiles in µm."""
    names: tuple[str, ...]
    """One unique name per tile: the barcode of a spot, or `r<row>c<column>` on a grid."""
    spot_um: float
    """Diameter in µm of what one tile stands for."""

    def __len__(self) -> int:
        return len(self.names)

    def spread(self, most: int) -> Tiles:
        """At most so many of them, evenly spread."""
        rows = np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).round().astype(np.int64))
        return Tiles(self.centres[rows], self.pitch_um, tuple(self.names[row] for row in rows), self.spot_um)
