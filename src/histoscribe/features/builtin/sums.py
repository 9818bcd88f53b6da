"""Sums over the central window of maps, in double precision."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from histoscribe.features.builtin.compiled import compiled
from histoscribe.features.builtin.planes import smooth

Maps = NDArray[np.float32]
Sums = NDArray[np.float64]


def window_means(maps: Maps, margin: int) -> Sums:
    """Mean of each plane without `margin` pixels on every side: (planes, n, side, side) to (planes, n)."""
    out = np.empty(maps.shape[:2])
    _means(maps, margin, out)
    return out


def band_power(maps: Maps, margin: int) -> Sums:
    """Mean square of maps less their smoothing, as `window_means`."""
    out = np.empty(maps.shape[:2])
    _power(maps, margin, out)
    return out


@compiled
def _means(maps: Maps, margin: int, out: Sums) -> None:
    planes, count, side = maps.shape[:3]
    width = side - 2 * margin
    total = np.empty(width)
    for plane in range(planes):
        for number in range(count):
            total[:] = 0
            for row in range(margin, margin + width):
                line = maps[plane, number, row, margin : margin + width]
                for column in range(width):
                    total[column] += line[column]
            out[plane, number] = total.sum() / (width * width)


@compiled
def _power(maps: Maps, margin: int, out: Sums) -> None:
    planes, count, side = maps.shape[:3]
    stop, width = side - margin, side - 2 * margin
    held, smoothed = np.empty((side, side), dtype=np.float32), np.empty((side, side), dtype=np.float32)
    total, band = np.empty(width), np.empty(width, dtype=np.float32)
    for plane in range(planes):
        for number in range(count):
            smooth(maps[plane, number], held, smoothed)
            total[:] = 0
            for row in range(margin, stop):
                line, base = maps[plane, number, row, margin:stop], smoothed[row, margin:stop]
                for column in range(width):
                    band[column] = line[column] - base[column]
                for column in range(width):
                    total[column] += band[column] * band[column]
            out[plane, number] = total.sum() / (width * width)
