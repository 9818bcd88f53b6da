"""Planes: maps made from maps, pixel by pixel, each plane of two axes by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from histoscribe.features.compiled import compiled

Maps = NDArray[np.float32]


def halved(maps: Maps) -> Maps:
    """Mean of each 2 × 2 pixels; shape (..., rows / 2, columns / 2)."""
    rows, columns = maps.shape[-2:]
    out = np.empty((*maps.shape[:-2], rows // 2, columns // 2), dtype=np.float32)
    _halve(_stack(maps), _stack(out))
    return out


def smoothed(maps: Maps) -> Maps:
    """Binomial smoothing (1 4 6 4 1) along both axes, edges repeated: σ = 1 pixel.

    The same to the bit, mirrored, for a mirrored map.
    """
    out = np.empty(maps.shape, dtype=np.float32)
    _smooth(_stack(maps), _stack(out))
    return out


def box_mean(maps: Maps, size: int) -> Maps:
    """Mean over `size` × `size` pixels around each, edges repeated; `size` is odd."""
    out = np.empty(maps.shape, dtype=np.float32)
    _box(_stack(maps), size, _stack(out))
    return out


def gradients(maps: Maps) -> Maps:
    """Squares and products of the slopes of each plane, as a tensor without its orientation.

    Parameters
    ----------
    maps : ndarray of float32, shape (n, rows, columns)

    Returns
    -------
    ndarray of float32, shape (3, n, rows, columns)
        With slopes d along rows and a along columns (central differences, one-sided at the edges):
        d² − a², 2 d a, d² + a².
    """
    out = np.empty((3, *maps.shape), dtype=np.float32)
    _slopes(maps, out)
    return out


def _stack(maps: Maps) -> Maps:
    return maps.reshape(-1, *maps.shape[-2:])


@compiled
def _halve(maps: Maps, out: Maps) -> None:
    quarter = np.float32(0.25)
    for plane in range(len(out)):
        for row in range(out.shape[1]):
            upper, lower, mean = maps[plane, 2 * row], maps[plane, 2 * row + 1], out[plane, row]
            for column in range(out.shape[2]):
                falling = upper[2 * column] + lower[2 * column + 1]
                rising = upper[2 * column + 1] + lower[2 * column]
                mean[column] = (falling + rising) * quarter


@compiled
def _smooth(maps: Maps, out: Maps) -> None:
    held = np.empty(maps.shape[1:], dtype=np.float32)
    for plane in range(len(maps)):
        _smooth_down(maps[plane], held)
        _smooth_along(held, out[plane])
        _smooth_down(out[plane], held)
        _smooth_along(held, out[plane])


@compiled
def _smooth_down(source: Maps, out: Maps) -> None:
    """(1 2 1) / 4 from row to row."""
    quarter = np.float32(0.25)
    rows, columns = source.shape
    for row in range(rows):
        above, below = max(row - 1, 0), min(row + 1, rows - 1)
        for column in range(columns):
            around = source[above, column] + source[below, column]
            out[row, column] = (around + source[row, column] + source[row, column]) * quarter


@compiled
def _smooth_along(source: Maps, out: Maps) -> None:
    """(1 2 1) / 4 from column to column."""
    quarter = np.float32(0.25)
    rows, columns = source.shape
    for row in range(rows):
        for column in range(columns - 2):
            around = source[row, column] + source[row, column + 2]
            out[row, column + 1] = (around + source[row, column + 1] + source[row, column + 1]) * quarter
        first, last = source[row, 0], source[row, columns - 1]
        out[row, 0] = (first + source[row, 1] + first + first) * quarter
        out[row, columns - 1] = (last + source[row, columns - 2] + last + last) * quarter


@compiled
def _box(maps: Maps, size: int, out: Maps) -> None:
    """Running means in double precision: first along, then down."""
    rows, columns = maps.shape[1:]
    half = size // 2
    along = np.empty((rows, columns), dtype=np.float32)
    mean = np.empty(columns, dtype=np.float64)
    for plane in range(len(maps)):
        for row in range(rows):
            line = maps[plane, row]
            total = 0.0
            for offset in range(-half, half + 1):
                total += line[min(max(offset, 0), columns - 1)]
            total /= size
            along[row, 0] = total
            for column in range(1, columns):
                gone, come = line[max(column - half - 1, 0)], line[min(column + half, columns - 1)]
                total += (np.float64(come) - np.float64(gone)) / size
                along[row, column] = total
        mean[:] = 0
        for offset in range(-half, half + 1):
            line = along[min(max(offset, 0), rows - 1)]
            for column in range(columns):
                mean[column] += line[column]
        for column in range(columns):
            mean[column] /= size
            out[plane, 0, column] = mean[column]
        for row in range(1, rows):
            left, entered = along[max(row - half - 1, 0)], along[min(row + half, rows - 1)]
            for column in range(columns):
                mean[column] += (np.float64(entered[column]) - np.float64(left[column])) / size
                out[plane, row, column] = mean[column]


@compiled
def _slopes(maps: Maps, out: Maps) -> None:
    rows, columns = maps.shape[1:]
    half, whole = np.float32(0.5), np.float32(1)
    down, along = np.empty(columns, dtype=np.float32), np.empty(columns, dtype=np.float32)
    for plane in range(len(maps)):
        for row in range(rows):
            before, after = max(row - 1, 0), min(row + 1, rows - 1)
            share = half if 0 < row < rows - 1 else whole
            for column in range(columns):
                down[column] = (maps[plane, after, column] - maps[plane, before, column]) * share
            for column in range(columns - 2):
                along[column + 1] = (maps[plane, row, column + 2] - maps[plane, row, column]) * half
            along[0] = maps[plane, row, 1] - maps[plane, row, 0]
            along[columns - 1] = maps[plane, row, columns - 1] - maps[plane, row, columns - 2]
            for column in range(columns):
                out[0, plane, row, column] = down[column] * down[column] - along[column] * along[column]
            for column in range(columns):
                out[1, plane, row, column] = (down[column] + down[column]) * along[column]
            for column in range(columns):
                out[2, plane, row, column] = down[column] * down[column] + along[column] * along[column]
