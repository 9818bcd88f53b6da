"""Survey: everything that texture needs of one view, gathered crop by crop while it is in the cache."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histoscribe.features.builtin.compiled import compiled
from histoscribe.features.builtin.planes import halve, slopes, smooth

Maps = NDArray[np.float32]
Sums = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Survey:
    """Means over central windows of a batch of crops, and the maps that other scales go on from.

    The band is the map less its smoothing by σ = 1 pixel. The tensor is made of the slopes d along rows
    and a along columns of smoothed hematoxylin and eosin together.

    Parameters
    ----------
    power : ndarray of float64, shape (windows, 3, n)
        Mean square of the band of each stain.
    cube, size : ndarray of float64, shape (windows, 2, n)
        Mean cube and mean size of the band of hematoxylin and eosin.
    product : ndarray of float64, shape (windows, n)
        Mean product of these two bands.
    tensor : ndarray of float64, shape (windows, 3, n)
        Means of d² − a², 2 d a and d² + a².
    near : ndarray of float64, shape (windows, n)
        Mean length of the first two, after smoothing by σ = 2 pixels.
    sizes : ndarray of float32, shape (2, n, side / 2, side / 2)
        Size of the band of hematoxylin and eosin, of half as many pixels.
    hematoxylin : ndarray of float32, shape (n, side, side)
        Smoothed.
    """

    power: Sums
    cube: Sums
    size: Sums
    product: Sums
    tensor: Sums
    near: Sums
    sizes: Maps
    hematoxylin: Maps


def survey(stains: Maps, margins: Indices, coarse_margins: Indices) -> Survey:
    """Survey the stain maps of a batch.

    Parameters
    ----------
    stains : ndarray of float32, shape (3, n, side, side)
        Hematoxylin, eosin, residual.
    margins : ndarray of int, shape (windows,)
        Pixels outside of each central window, from the widest window to the narrowest.
    coarse_margins : ndarray of int, shape (windows,)
        The same on maps of half as many pixels.
    """
    count, side = stains.shape[1:3]
    windows = len(margins)
    found = Survey(
        power=np.empty((windows, 3, count)),
        cube=np.empty((windows, 2, count)),
        size=np.empty((windows, 2, count)),
        product=np.empty((windows, count)),
        tensor=np.empty((windows, 3, count)),
        near=np.empty((windows, count)),
        sizes=np.empty((2, count, side // 2, side // 2), dtype=np.float32),
        hematoxylin=np.empty((count, side, side), dtype=np.float32),
    )
    _survey(
        stains,
        margins,
        coarse_margins,
        _rings(side, margins),
        _rings(side // 2, coarse_margins),
        found.power,
        found.cube,
        found.size,
        found.product,
        found.tensor,
        found.near,
        found.sizes,
        found.hematoxylin,
    )
    return found


def _rings(side: int, margins: Indices) -> Indices:
    """For each row the narrowest window that it crosses, −1 for none; rows are summed once for all."""
    row = np.arange(side)
    inside = (row >= margins[:, None]) & (row < side - margins[:, None])
    rings: Indices = inside.sum(axis=0, dtype=np.int64) - 1
    return rings


@compiled
def _survey(
    stains: Maps,
    margins: Indices,
    coarse_margins: Indices,
    rings: Indices,
    coarse_rings: Indices,
    power: Sums,
    cube: Sums,
    size: Sums,
    product: Sums,
    tensor: Sums,
    near: Sums,
    sizes: Maps,
    hematoxylin: Maps,
) -> None:
    side = stains.shape[2]
    smoothed = np.empty((3, side, side), dtype=np.float32)
    held = np.empty((3, side, side), dtype=np.float32)
    for number in range(stains.shape[1]):
        crop = stains[:, number]
        for stain in range(3):
            smooth(crop[stain], held[0], smoothed[stain])
        for row in range(side):
            for column in range(side):
                hematoxylin[number, row, column] = smoothed[0, row, column]
        _bands(
            crop,
            smoothed,
            margins,
            rings,
            held,
            power[:, :, number],
            cube[:, :, number],
            size[:, :, number],
            product[:, number],
        )
        for stain in range(2):
            halve(held[stain], sizes[stain, number])
        _tensor(smoothed, margins, rings, held, tensor[:, :, number])
        _nearness(held, coarse_margins, coarse_rings, near[:, number])


@compiled
def _gather(total: Sums, margins: Indices, out: Sums) -> None:
    """Mean over each window from sums (windows, side) of the columns over the rows of each ring."""
    windows, side = total.shape
    for window in range(windows):
        mean, margin = 0.0, margins[window]
        for ring in range(window, windows):
            for column in range(margin, side - margin):
                mean += total[ring, column]
        out[window] = mean / (side - 2 * margin) ** 2


@compiled
def _bands(
    crop: Maps,
    smoothed: Maps,
    margins: Indices,
    rings: Indices,
    sizes: Maps,
    power: Sums,
    cube: Sums,
    size: Sums,
    product: Sums,
) -> None:
    side = crop.shape[1]
    bands = np.empty((3, side), dtype=np.float32)
    squares, cubes = np.zeros((3, len(margins), side)), np.zeros((2, len(margins), side))
    lengths, products = np.zeros((2, len(margins), side)), np.zeros((len(margins), side))
    for row in range(side):
        ring = rings[row]
        for stain in range(3):
            line, base, band = crop[stain, row], smoothed[stain, row], bands[stain]
            for column in range(side):
                band[column] = line[column] - base[column]
        for stain in range(2):
            band, length = bands[stain], sizes[stain, row]
            for column in range(side):
                length[column] = abs(band[column])
        if ring < 0:
            continue
        # Short loops over few arrays: only such are turned into vector instructions.
        for stain in range(3):
            band, total = bands[stain], squares[stain, ring]
            for column in range(side):
                total[column] += band[column] * band[column]
        for stain in range(2):
            band, total = bands[stain], cubes[stain, ring]
            for column in range(side):
                total[column] += band[column] * band[column] * band[column]
        for stain in range(2):
            length, total = sizes[stain, row], lengths[stain, ring]
            for column in range(side):
                total[column] += length[column]
        band, other, total = bands[0], bands[1], products[ring]
        for column in range(side):
            total[column] += band[column] * other[column]
    for stain in range(3):
        _gather(squares[stain], margins, power[:, stain])
    for stain in range(2):
        _gather(cubes[stain], margins, cube[:, stain])
        _gather(lengths[stain], margins, size[:, stain])
    _gather(products, margins, product)


@compiled
def _tensor(smoothed: Maps, margins: Indices, rings: Indices, out: Maps, means: Sums) -> None:
    """Fill `out` (3, side, side) with the tensor of one crop, and `means` with its sums over windows."""
    side = smoothed.shape[1]
    density = smoothed[2]  # of no more use: its room is
    for row in range(side):
        first, second, both = smoothed[0, row], smoothed[1, row], density[row]
        for column in range(side):
            both[column] = first[column] + second[column]
    slopes(density, out)
    for part in range(3):
        sums = np.zeros((len(margins), side))
        for row in range(side):
            if rings[row] >= 0:
                line, total = out[part, row], sums[rings[row]]
                for column in range(side):
                    total[column] += line[column]
        _gather(sums, margins, means[:, part])


@compiled
def _nearness(tensor: Maps, margins: Indices, rings: Indices, means: Sums) -> None:
    side = tensor.shape[1] // 2
    coarse = np.empty((2, side, side), dtype=np.float32)
    near, held = np.empty((2, side, side), dtype=np.float32), np.empty((side, side), dtype=np.float32)
    for part in range(2):
        halve(tensor[part], coarse[part])
        smooth(coarse[part], held, near[part])
    sums = np.zeros((len(margins), side))
    for row in range(side):
        if rings[row] >= 0:
            first, second, total = near[0, row], near[1, row], sums[rings[row]]
            for column in range(side):
                total[column] += np.sqrt(first[column] * first[column] + second[column] * second[column])
    _gather(sums, margins, means)
