"""The levels of a pyramid: their factors, and coarse ones that the file lacks, made when first looked at."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError
from histoscribe.slide.pixels import TO_PYRAMID, DecodedPixels, PixelArray

SMALL = 1024
"""Longest side of a level that is cheap to read whole."""

_MADE = 2**26  # pixels of the largest level that is made
_SOURCE = 2**31  # pixels of the largest level that others are made from
_STRIP = 2**24  # source pixels read at once
_PART = 2**18  # source pixels averaged at once, so that they stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Level:
    """One resolution of a slide."""

    pixels: PixelArray
    """Shape (rows, columns, 3), dtype uint8."""
    downsample: float
    """Full-resolution pixels per pixel of this level: the true factor, never rounded."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of this level."""
        return self.pixels.shape[0], self.pixels.shape[1]


def level_factor(levels: Sequence[Level], shape: tuple[int, ...], stated: float | None) -> float | None:
    """How many full-resolution pixels one pixel of a further level stands for, along rows and columns.

    Scanners cut levels to whole pixels, so the factor is the stated one where the extent agrees with it to a
    pixel, else the mean of both sides' ratios.

    `levels`: the finer ones found before, finest first; `shape`: rows and columns of the further one;
    `stated`: the factor that the file states. None where the level shows another field, or is not
    coarser than the last one.
    """
    if not levels:
        return 1.0
    full = levels[0].shape
    down, across = full[0] / shape[0], full[1] / shape[1]
    agrees = stated and all(
        abs(length / stated - side) < 1 for length, side in zip(full, shape, strict=False)
    )
    if stated and agrees and stated > levels[-1].downsample:
        return stated
    slack = 1.5 * max(across / shape[1], down / shape[0])
    if min(across, down) <= levels[-1].downsample or abs(across - down) > slack + 0.01 * across:
        return None
    return (down + across) / 2


def complete(levels: Sequence[Level], path: Path) -> tuple[Level, ...]:
    """Add coarse levels until the longest side is at most `SMALL` pixels.

    Each added level halves the one before; the first is coarser where half would not fit in memory.
    Raises `SlideError` if the coarsest level is so large that making coarser ones would take minutes.
    """
    done = list(levels)
    rows, columns = done[-1].shape
    if max(rows, columns) > SMALL and rows * columns > _SOURCE:
        problem = f"its coarsest resolution has {rows} × {columns} pixels, too many to get an overview from"
        raise SlideError(problem, where=path, remedy=TO_PYRAMID)
    while max(done[-1].shape) > SMALL:
        parent = done[-1]
        area = parent.shape[0] * parent.shape[1]
        factor = 2 ** max(1, math.ceil(math.log2(area / _MADE) / 2))
        rows, columns = (math.ceil(side / factor) for side in parent.shape)
        made = DecodedPixels(rows, columns, partial(shrink, parent.pixels, factor))
        done.append(Level(made, parent.downsample * factor))
    return tuple(done)


def shrink(source: PixelArray, factor: int) -> NDArray[np.uint8]:
    """Average squares of `factor` by `factor` pixels, reading `source` strip by strip.

    `source`: shape (rows, columns, 3). `factor`: side of a square; those at the lower and right edge may be
    cut off. Returns (ceil(rows / factor), ceil(columns / factor), 3).
    """
    rows, columns = source.shape[0], source.shape[1]
    out = np.empty((math.ceil(rows / factor), math.ceil(columns / factor), 3), dtype=np.uint8)
    per_strip = max(1, _STRIP // (columns * factor))
    per_part = max(1, _PART // (columns * factor))
    for first in range(0, len(out), per_strip):
        strip = source[first * factor : (first + per_strip) * factor]
        missing = -strip.shape[0] % factor, -columns % factor
        if any(missing):
            strip = np.pad(strip, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        for part in range(0, len(strip) // factor, per_part):
            last = min(part + per_part, len(strip) // factor)
            _average(strip[part * factor : last * factor], factor, out[first + part : first + last])
    return out


def _average(strip: NDArray[np.uint8], factor: int, out: NDArray[np.uint8]) -> None:
    """Write the means of whole squares to `out`; sums of up to 16 × 16 pixels fit in 16 bits."""
    kind = np.uint16 if factor <= 16 else np.uint32
    rows: NDArray[Any] = strip[::factor].astype(kind)
    for row in range(1, factor):
        rows += strip[row::factor]
    rows = rows.reshape(len(rows), -1, 3 * factor)
    for sample in range(3):
        total = rows[:, :, sample].copy()
        for column in range(1, factor):
            total += rows[:, :, sample + 3 * column]
        out[:, :, sample] = (total + factor**2 // 2) // factor**2
