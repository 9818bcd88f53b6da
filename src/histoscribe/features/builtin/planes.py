"""Planes: maps made from maps, pixel by pixel, each plane of two axes by itself."""

import numpy as np

from histoscribe.arrays import Floats, Wide
from histoscribe.features.builtin.compiled import compiled

Maps = Floats
Sums = Wide


def halved(maps: Maps) -> Maps:
    """Mean of each 2 × 2 pixels; shape (..., rows / 2, columns / 2)."""
    rows, columns = maps.shape[-2:]
    out = np.empty((*maps.shape[:-2], rows // 2, columns // 2), dtype=np.float32)
    for plane, result in zip(_stack(maps), _stack(out), strict=True):
        halve(plane, result)
    return out


def smoothed(maps: Maps) -> Maps:
    """Binomial smoothing (1 4 6 4 1) along both axes, edges repeated: σ = 1 pixel; of the same shape.

    The same to the bit, mirrored, for a mirrored map.
    """
    out = np.empty(maps.shape, dtype=np.float32)
    held = np.empty(maps.shape[-2:], dtype=np.float32)
    for plane, result in zip(_stack(maps), _stack(out), strict=True):
        smooth(plane, held, result)
    return out


def box_mean(maps: Maps, size: int) -> Maps:
    """Mean over `size` × `size` pixels (odd) around each, edges repeated; of the same shape."""
    out = np.empty(maps.shape, dtype=np.float32)
    for plane, result in zip(_stack(maps), _stack(out), strict=True):
        _box(plane, size, result)
    return out


def _stack(maps: Maps) -> Maps:
    return maps.reshape(-1, *maps.shape[-2:])


@compiled
def halve(maps: Maps, out: Maps) -> None:
    """Fill `out`, shape (rows / 2, columns / 2), with the mean of each 2 × 2 pixels of one plane."""
    quarter = np.float32(0.25)
    for row in range(out.shape[0]):
        upper, lower, mean = maps[2 * row], maps[2 * row + 1], out[row]
        for column in range(out.shape[1]):
            falling = upper[2 * column] + lower[2 * column + 1]
            rising = upper[2 * column + 1] + lower[2 * column]
            mean[column] = (falling + rising) * quarter


@compiled
def smooth(maps: Maps, held: Maps, out: Maps) -> None:
    """Fill `out` with one plane smoothed as `smoothed` says; `held` is room of the same shape."""
    _smooth_down(maps, held)
    _smooth_along(held, out)
    _smooth_down(out, held)
    _smooth_along(held, out)


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
def slopes(maps: Maps, out: Maps) -> None:
    """Squares and products of the slopes of one plane, as a tensor without its orientation.

    Fills `out`, shape (3, rows, columns), from slopes d along rows and a along columns (central
    differences, one-sided at the edges) with d² − a², 2 d a and d² + a².
    """
    rows, columns = maps.shape
    half, whole = np.float32(0.5), np.float32(1)
    down, along = np.empty(columns, dtype=np.float32), np.empty(columns, dtype=np.float32)
    for row in range(rows):
        before, after = maps[max(row - 1, 0)], maps[min(row + 1, rows - 1)]
        share = half if 0 < row < rows - 1 else whole
        line = maps[row]
        for column in range(columns):
            down[column] = (after[column] - before[column]) * share
        for column in range(columns - 2):
            along[column + 1] = (line[column + 2] - line[column]) * half
        along[0], along[columns - 1] = line[1] - line[0], line[columns - 1] - line[columns - 2]
        first, second, third = out[0, row], out[1, row], out[2, row]
        for column in range(columns):
            first[column] = down[column] * down[column] - along[column] * along[column]
        for column in range(columns):
            second[column] = (down[column] + down[column]) * along[column]
        for column in range(columns):
            third[column] = down[column] * down[column] + along[column] * along[column]


@compiled
def _box(maps: Maps, size: int, out: Maps) -> None:
    """Running means in double precision: first along, eight rows side by side, then down."""
    rows, columns = maps.shape
    half, lanes = size // 2, 8
    along = np.empty((rows, columns), dtype=np.float32)
    lines = np.empty((columns, lanes), dtype=np.float32)
    total = np.empty(lanes)
    for top in range(0, rows, lanes):
        used = min(lanes, rows - top)
        for lane in range(used):
            for column in range(columns):
                lines[column, lane] = maps[top + lane, column]
        total[:] = 0
        for offset in range(-half, half + 1):
            _add(lines[min(max(offset, 0), columns - 1)], total)
        for lane in range(lanes):
            total[lane] /= size
        for lane in range(used):
            along[top + lane, 0] = total[lane]
        for column in range(1, columns):
            gone, come = lines[max(column - half - 1, 0)], lines[min(column + half, columns - 1)]
            for lane in range(lanes):
                total[lane] += (np.float64(come[lane]) - np.float64(gone[lane])) / size
            for lane in range(used):
                along[top + lane, column] = total[lane]
    mean = np.zeros(columns)
    for offset in range(-half, half + 1):
        _add(along[min(max(offset, 0), rows - 1)], mean)
    for column in range(columns):
        mean[column] /= size
        out[0, column] = mean[column]
    for row in range(1, rows):
        left, entered, result = along[max(row - half - 1, 0)], along[min(row + half, rows - 1)], out[row]
        for column in range(columns):
            mean[column] += (np.float64(entered[column]) - np.float64(left[column])) / size
            result[column] = mean[column]


@compiled
def _add(line: Maps, total: Wide) -> None:
    for place in range(len(total)):
        total[place] += line[place]


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
