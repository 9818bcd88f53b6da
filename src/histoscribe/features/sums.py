"""Sums over the central window of maps, in double precision, one window at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from histoscribe.features.compiled import compiled

Maps = NDArray[np.float32]
Sums = NDArray[np.float64]


def window_means(maps: Maps, margin: int) -> Sums:
    """Mean of each plane without `margin` pixels on every side: (planes, n, side, side) to (planes, n)."""
    out = np.empty(maps.shape[:2])
    _means(maps, margin, out)
    return out


def band_means(maps: Maps, smooth: Maps, margin: int) -> Sums:
    """Moments of the band that lies between maps and their smoothing.

    Parameters
    ----------
    maps, smooth : ndarray of float32, shape (stains, n, side, side)
    margin : int
        Pixels left out on every side.

    Returns
    -------
    ndarray of float64, shape (4, stains, n)
        Means of the band's square, of its cube, of its size, and of its product with the next stain's
        band (the last's with the first's).
    """
    out = np.empty((4, *maps.shape[:2]))
    _band(maps, smooth, margin, out)
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
def _band(maps: Maps, smooth: Maps, margin: int, out: Sums) -> None:
    planes, count, side = maps.shape[:3]
    stop, width = side - margin, side - 2 * margin
    square, cube, size, product = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    band, next_band = np.empty(width, dtype=np.float32), np.empty(width, dtype=np.float32)
    for plane in range(planes):
        following = (plane + 1) % planes
        for number in range(count):
            square[:], cube[:], size[:], product[:] = 0, 0, 0, 0
            for row in range(margin, stop):
                line, base = maps[plane, number, row, margin:stop], smooth[plane, number, row, margin:stop]
                other = maps[following, number, row, margin:stop]
                ground = smooth[following, number, row, margin:stop]
                # Short loops over few arrays from 0 on: such are turned into vector instructions.
                for column in range(width):
                    band[column] = line[column] - base[column]
                for column in range(width):
                    next_band[column] = other[column] - ground[column]
                for column in range(width):
                    square[column] += band[column] * band[column]
                for column in range(width):
                    cube[column] += band[column] * band[column] * band[column]
                for column in range(width):
                    size[column] += abs(band[column])
                for column in range(width):
                    product[column] += band[column] * next_band[column]
            out[0, plane, number] = square.sum() / (width * width)
            out[1, plane, number] = cube.sum() / (width * width)
            out[2, plane, number] = size.sum() / (width * width)
            out[3, plane, number] = product.sum() / (width * width)
