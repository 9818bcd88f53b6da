"""More regions than shapes can be: one picture of them, drawn anew for what is looked at.

napari takes a millisecond for each shape, so 100,000 would hold the window up for minutes. The picture has
levels as a slide's has: of each only the part in view is drawn, from the crossings of outlines with its rows
and columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from histoscribe.arrays import Numbers, Pixels, Wide
from histoscribe.section.registration.transform import through
from histoscribe.slide.pixels import RgbPixels
from histoscribe.tiles import Region
from histoscribe.widgets.layers.layers import UM, LayerData, LevelForNapari, affine_of

MANY = 3_000
"""Regions above which a layer is a picture of them."""
FILL = 0.15
HELD, _OWN = "drawn regions", "of drawn regions"
"""In the metadata of a picture: its regions, and from their pixels to those of the picture."""
_FINEST, _COARSEST = 1 << 16, 1 << 10


class _Outlines:
    """All outlines in µm, side by side: quick to be cut to a window."""

    def __init__(self, regions: Sequence[Region], mpp: float) -> None:
        rings = [ring for region in regions for ring in (region.polygon, *region.holes)]
        self.regions = tuple(regions)
        self.sizes = np.array([len(ring) for ring in rings])
        self.firsts = np.cumsum(self.sizes) - self.sizes
        self.points = np.concatenate(rings) * mpp
        following = np.arange(1, len(self.points) + 1)
        following[self.firsts + self.sizes - 1] = self.firsts
        self.ends = self.points[following]
        (r0, c0), (r1, c1) = self.points.T, self.ends.T
        holes = np.array([number for one in regions for number in range(len(one.holes) + 1)])
        turns = np.add.reduceat(r0 * c1 - r1 * c0, self.firsts)
        self.signs = np.where(holes > 0, -1.0, 1.0) * np.sign(turns)
        owners = np.repeat(np.arange(len(regions)), [len(region.holes) + 1 for region in regions])
        self.colours = np.array([region.colour for region in regions], dtype=np.float64)[owners]
        self.low = np.minimum.reduceat(self.points, self.firsts)
        self.high = np.maximum.reduceat(self.points, self.firsts)
        self.origin = self.low.min(axis=0)
        self.size = self.high.max(axis=0) - self.origin

    def picture(self, corner: Wide, pixel: float, rows: int, columns: int) -> Pixels:
        """RGBA of a window that starts at a corner in µm; shape (rows, columns, 4)."""
        far = corner + np.array([rows, columns]) * pixel
        rings = np.flatnonzero(((self.high >= corner) & (self.low <= far)).all(axis=1))
        of_edge = np.repeat(rings, self.sizes[rings])
        edges = self.firsts[of_edge] + _counted(self.sizes[rings])
        start, end = (self.points[edges] - corner) / pixel, (self.ends[edges] - corner) / pixel
        which, row, across = _crossings(start, end, rows)
        steep = np.abs(end - start)[:, 0] >= np.abs(end - start)[:, 1]
        weight = np.sign(end - start)[which, 0] * self.signs[of_edge[which]]
        # what lies right of a crossing is inside, until the next one takes it back
        behind = row * (columns + 1) + np.clip(np.ceil(across - 0.5), 0, columns).astype(np.int64)
        area = rows * (columns + 1)
        parts = [weight, *(weight * channel for channel in self.colours[of_edge[which]].T)]
        sums = [np.bincount(behind, part, area).reshape(rows, -1).cumsum(axis=1)[:, :-1] for part in parts]
        inside = np.abs(sums[0]) > 0.5
        image = np.zeros((rows, columns, 4), dtype=np.uint8)
        for channel, total in enumerate(sums[1:]):
            image[inside, channel] = np.clip(total[inside] / sums[0][inside] + 0.5, 0, 255)
        image[inside, 3] = round(255 * FILL)
        on = steep[which]
        other, column, down = _crossings(start[~steep, ::-1], end[~steep, ::-1], columns)
        dots = ((self.points[self.firsts[rings]] - corner) / pixel).astype(np.int64)
        lines = (
            (of_edge[which[on]], row[on], across[on], (0, 1)),
            (of_edge[~steep][other], down, column, (1, 0)),
            (rings, *dots.T, (0, 0)),
        )
        for owner, places, beside, (lower, righter) in lines:
            for step in (0, 1):
                r = np.floor(places).astype(np.int64) + step * lower
                c = np.floor(beside).astype(np.int64) + step * righter
                seen = (r >= 0) & (r < rows) & (c >= 0) & (c < columns)
                image[r[seen], c[seen], :3] = self.colours[owner[seen]]
                image[r[seen], c[seen], 3] = 255
        return image


def _counted(sizes: Numbers) -> Numbers:
    """0, 1, ... of each size, one after the other."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _crossings(start: Wide, end: Wide, rows: int) -> tuple[NDArray[np.intp], Numbers, Wide]:
    """Where edges cross the middles of rows: which edge, the row, and the place along it."""
    low, high = np.minimum(start, end)[:, 0], np.maximum(start, end)[:, 0]
    first, last = (np.clip(np.ceil(side - 0.5), 0, rows).astype(np.int64) for side in (low, high))
    counts = last - first
    which = np.repeat(np.arange(len(start)), counts)
    row = _counted(counts) + first[which]
    share = (row + 0.5 - start[which, 0]) / (end[which, 0] - start[which, 0])
    return which, row, start[which, 1] + share * (end[which, 1] - start[which, 1])


class _Level(RgbPixels):
    """The picture at one size of a pixel, drawn where it is read."""

    def __init__(self, outlines: _Outlines, pixel: float) -> None:
        rows, columns = (max(1, int(np.ceil(side / pixel)) + 1) for side in outlines.size)
        super().__init__(rows, columns, (512, 512))
        self.shape, self._outlines, self._pixel = (rows, columns, 4), outlines, pixel

    def block(self, top: int, left: int, bottom: int, right: int) -> Pixels:
        """See `RgbPixels.block`; with alpha."""
        corner = self._outlines.origin + np.array([top, left]) * self._pixel
        return self._outlines.picture(corner, self._pixel, bottom - top, right - left)


def picture_of_regions(regions: Sequence[Region], mpp: float, name: str) -> LayerData:
    """Describe regions in full-resolution pixels of `mpp` µm as one picture in µm."""
    outlines = _Outlines(regions, mpp)
    side = float(outlines.size.max())
    pixel = max(mpp, side / _FINEST)
    halvings = max(0, int(np.ceil(np.log2(max(1.0, side / pixel / _COARSEST)))))
    levels = [LevelForNapari(_Level(outlines, pixel * 2**number)) for number in range(halvings + 1)]
    shift = outlines.origin + pixel / 2
    own = np.diag([mpp / pixel, mpp / pixel, 1.0])
    own[:2, 2] = -shift / pixel
    described = {
        "name": name,
        "rgb": True,
        "multiscale": len(levels) > 1,
        "scale": (pixel, pixel),
        "translate": tuple(shift),
        "units": (UM, UM),
        "metadata": {HELD: outlines.regions, _OWN: own},
    }
    return levels if len(levels) > 1 else levels[0], described, "image"


def held_regions(layer: Layer) -> tuple[Region, ...]:
    """The regions that a layer is a picture of, as they were given; none of every other layer."""
    held: tuple[Region, ...] = layer.metadata.get(HELD, ())
    return held


def placing_of(layer: Layer) -> Wide:
    """From the pixels of `held_regions` to the world, wherever the picture was moved, 3 × 3."""
    placing: Wide = affine_of(layer) @ layer.metadata[_OWN]
    return placing


def in_view(layer: Layer) -> list[bool]:
    """Which of `held_regions` begin in the part of the picture that is looked at."""
    factor = layer.downsample_factors[layer.data_level][:2] if layer.multiscale else np.ones(2)
    first = np.array([region.polygon[0] for region in held_regions(layer)])
    places = through(layer.metadata[_OWN], first)
    low, high = np.asarray(layer.corner_pixels)[:, :2] * factor
    seen: list[bool] = ((places >= low) & (places <= high + factor)).all(axis=1).tolist()
    return seen
