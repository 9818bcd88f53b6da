"""Resampling: a rectangle of one level at any scale, exact to a fraction of a pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError
from histoscribe.slide.pixels import WHITE, check_read
from histoscribe.slide.pyramid import Level

_STRIP = 2**23  # source pixels read at once
_PART = 2**17  # source pixels mixed at once, so that they stay in the processor's cache
_GRID = 2.0**12  # edges are rounded to this fraction of a pixel, so that equal places get equal weights


@dataclass(frozen=True)
class Window:
    """A rectangle in full-resolution pixels; may reach beyond the slide."""

    row: float
    column: float
    """`row` and `column`: the upper left corner."""
    height: float
    width: float
    """`height` and `width`: extent along rows and columns."""


def read_window(level: Level, window: Window, scale: float) -> NDArray[np.uint8]:
    """Read a rectangle of `level`, resampled.

    Each pixel of the result is the mean of the area it covers where the level is finer than the result, and
    linear interpolation at its centre where it is coarser. What lies outside the slide counts as white. The
    value of a pixel depends only on where it lies, not on the rectangle read.

    `window`: in full-resolution pixels; may reach beyond the slide. `scale`: pixels of the result per
    full-resolution pixel. Returns (round(height * scale), round(width * scale), 3). Raises `SlideError` if
    the result would be unreasonably large, or the window is not finite.
    """
    extent = (window.row, window.column, window.height, window.width, scale)
    if not np.isfinite(extent).all() or scale <= 0:
        raise SlideError(f"a window of {extent} cannot be read", remedy="give finite numbers")
    height, width = max(0, round(window.height * scale)), max(0, round(window.width * scale))
    check_read(height, width)
    step = 1 / (scale * level.downsample)
    rows = _Axis.over(window.row / level.downsample, step, height, level.shape[0])
    columns = _Axis.over(window.column / level.downsample, step, width, level.shape[1])
    out = np.full((height, width, 3), WHITE, dtype=np.uint8)
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return out
    if rows.exact and columns.exact:
        block = level.pixels[rows.start : rows.stop, columns.start : columns.stop]
        top, left = (int(np.argmax(axis.weight.any(axis=1))) for axis in (rows, columns))
        out[top : top + block.shape[0], left : left + block.shape[1]] = block
        return out
    per_row = (columns.stop - columns.start) * step
    per_strip, per_part = (max(1, int(pixels / per_row)) for pixels in (_STRIP, _PART))
    for first in range(0, height, per_strip):
        strip = rows.part(first, first + per_strip)
        top, bottom = strip.start, strip.stop
        if bottom <= top:
            continue
        source = np.asarray(level.pixels[top:bottom, columns.start : columns.stop])
        for part in range(0, len(strip.index), per_part):
            mixed = strip.part(part, part + per_part)
            place = slice(first + part, first + part + len(mixed.index))
            if mixed.stop > mixed.start:
                out[place] = _mix(source[mixed.start - top : mixed.stop - top], mixed, columns)
    return out


@dataclass(frozen=True)
class _Axis:
    """How the pixels of the result are mixed from those of a level along one axis."""

    index: NDArray[np.int64]
    """Pixels of the level that take part, kept inside the level, shape (pixels, taps)."""
    weight: NDArray[np.float32]
    """Their shares; they sum to the share of the pixel that lies inside the slide. Shape (pixels, taps)."""
    exact: bool
    """Whether every pixel is one pixel of the level."""

    @classmethod
    def over(cls, start: float, step: float, count: int, length: int) -> _Axis:
        """Mix `count` pixels of `step` level pixels each, from `start`, out of `length` pixels."""
        edges = np.round((start + np.arange(count + 1) * step) * _GRID) / _GRID
        if step > 1:
            first = np.floor(edges[:-1]).astype(np.int64)
            index = first[:, None] + np.arange(math.ceil(step) + 1)
            overlap = np.minimum(edges[1:, None], index + 1) - np.maximum(edges[:-1, None], index)
            weight = np.clip(overlap, 0, None) / np.diff(edges)[:, None]
            weight[(index < 0) | (index >= length)] = 0
        else:
            centre = (edges[:-1] + edges[1:]) / 2
            first = np.floor(centre - 0.5).astype(np.int64)
            index = first[:, None] + np.arange(2)
            weight = 1 - np.abs(index + 0.5 - centre[:, None])
            weight[(centre < 0) | (centre >= length)] = 0
        exact = abs(step - 1) < 1e-9 and bool(np.isin(weight, (0, 1)).all())
        return cls(np.clip(index, 0, length - 1), weight.astype(np.float32), exact)

    @property
    def start(self) -> int:
        """First pixel of the level that is needed."""
        return int(self.index[self.weight > 0].min(initial=np.iinfo(np.int64).max))

    @property
    def stop(self) -> int:
        """One past the last pixel of the level that is needed; not after `start` if none is."""
        return int(self.index[self.weight > 0].max(initial=-1)) + 1

    def part(self, first: int, last: int) -> _Axis:
        """The pixels `first` to `last` of the result."""
        return _Axis(self.index[first:last], self.weight[first:last], self.exact)

    def matrix(self) -> Any:
        """The weights as a CSR matrix over the pixels `start` to `stop`."""
        from scipy.sparse import csr_array

        count, taps = self.index.shape
        size = self.stop - self.start
        index = np.clip(self.index - self.start, 0, size - 1).astype(np.int32)
        rows = np.arange(count + 1, dtype=np.int32) * taps
        return csr_array((self.weight.ravel(), index.ravel(), rows), shape=(count, size))


def _mix(source: NDArray[np.uint8], rows: _Axis, columns: _Axis) -> NDArray[np.uint8]:
    """Mix rows, then columns, of the pixels that both need; shape (result rows, result columns, 3)."""
    height, width = len(rows.index), len(columns.index)
    mixed = rows.matrix() @ source.reshape(len(source), -1).astype(np.float32)
    mixed = columns.matrix() @ mixed.reshape(height, -1, 3).transpose(1, 0, 2).reshape(-1, height * 3)
    mixed += np.float32(0.5)
    inside = columns.weight.sum(axis=1)[:, None] * rows.weight.sum(axis=1)
    if inside.min() < 0.999:
        mixed.reshape(width, height, 3)[...] += (WHITE * (1 - inside))[:, :, None]
    result: NDArray[np.uint8] = mixed.astype(np.uint8).reshape(width, height, 3).transpose(1, 0, 2)
    return result
