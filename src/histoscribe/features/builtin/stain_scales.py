"""Stain scales: the same crops at several µm per pixel, as stain maps, each half as fine as the last."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Numbers, Pixels, Wide
from histoscribe.features.builtin.compiled import compiled
from histoscribe.features.builtin.planes import halve, halved, slopes, smooth
from histoscribe.features.builtin.stains import stain_maps

WINDOWS_UM = (512.0, 256.0, 128.0, 64.0)
"""Sides of the central windows, widest first."""

Maps = Floats
Sums = Wide
Indices = Numbers

# where the means lie beside each other: power of three stains, cube and size of two, product, tensor, near
_PARTS = _CUBE, _SIZE, _PRODUCT, _TENSOR, _NEAR = 3, 5, 7, 8, 11
_MEANS = 12


@dataclass(frozen=True, eq=False)
class StainScale:
    """Stain maps of a batch of crops at one resolution."""

    um: float
    """µm per pixel."""
    stains: Maps
    """Hematoxylin, eosin, residual, shape (3, n, side, side)."""

    @cached_property
    def statistics(self) -> BandStatistics:
        """What texture needs of it, over the windows of `WINDOWS_UM`."""
        half = self.stains[..., ::2, ::2]
        margins = [
            [margin(maps, um, window) for window in WINDOWS_UM]
            for maps, um in ((self.stains, self.um), (half, 2 * self.um))
        ]
        return band_statistics(self.stains, *np.array(margins, dtype=np.int64))


def margin(maps: NDArray[np.generic], um: float, window_um: float) -> int:
    """Pixels between the border of maps (..., side, side) of `um` per pixel and their central window."""
    side: int = maps.shape[-1]
    return max(0, (side - round(window_um / um)) // 2)


def stain_scales(crops: Pixels, um: float, levels: int, core_um: float) -> list[StainScale]:
    """Build the stain maps of a batch at several scales, finest first.

    `crops` (n, side, side, 3): RGB; the side a multiple of 2 to the power of `levels - 1`. `um`: µm per pixel
    of the crops. `levels`: how many resolutions. `core_um`: side in µm of the centre shown by the finest
    view; the others show all. Returns `levels` of them, at `um`, 2 `um`, 4 `um`, ... per pixel.
    """
    side = crops.shape[1]
    edge = (side - round(core_um / um)) // 2
    core = np.ascontiguousarray(crops[:, edge : side - edge, edge : side - edge])
    views = [StainScale(um, stain_maps(core))]
    stains = stain_maps(np.ascontiguousarray(crops), block=2)
    while len(views) < levels:
        um *= 2
        views.append(StainScale(um, stains))
        stains = halved(stains)
    return views


@dataclass(frozen=True, eq=False)
class BandStatistics:
    """Means over central windows of a batch of crops, and the maps that other scales go on from.

    The band is the map less its smoothing by σ = 1 pixel. The tensor is made of the slopes d along rows
    and a along columns of smoothed hematoxylin and eosin together.
    """

    power: Sums
    """Mean square of the band of each stain, shape (windows, 3, n)."""
    cube: Sums
    size: Sums
    """`cube` and `size`: mean cube and mean size of the band of hematoxylin and eosin, shape (windows, 2,
    n)."""
    product: Sums
    """Mean product of these two bands, shape (windows, n)."""
    tensor: Sums
    """Means of d² − a², 2 d a and d² + a², shape (windows, 3, n)."""
    near: Sums
    """Mean length of the first two, after smoothing by σ = 2 pixels, shape (windows, n)."""
    sizes: Maps
    """Size of the band of hematoxylin and eosin, of half as many pixels, shape (2, n, side / 2, side / 2)."""
    hematoxylin: Maps
    """Smoothed, shape (n, side, side)."""


def band_statistics(stains: Maps, margins: Indices, coarse_margins: Indices) -> BandStatistics:
    """Gather the statistics of the stain maps of a batch.

    `stains` (3, n, side, side): hematoxylin, eosin, residual; `margins` (windows,): pixels outside of each
    central window, from the widest window to the narrowest; `coarse_margins` (windows,): the same on maps of
    half as many pixels.
    """
    count, side = stains.shape[1:3]
    means = np.empty((len(margins), _MEANS, count))
    sizes = np.empty((2, count, side // 2, side // 2), dtype=np.float32)
    hematoxylin = np.empty((count, side, side), dtype=np.float32)
    rings = _rings(side, margins), _rings(side // 2, coarse_margins)
    _gather_all(stains, margins, coarse_margins, *rings, means, sizes, hematoxylin)
    power, cube, size, product, tensor, near = np.split(means, _PARTS, axis=1)
    return BandStatistics(power, cube, size, product[:, 0], tensor, near[:, 0], sizes, hematoxylin)


def _rings(side: int, margins: Indices) -> Indices:
    """For each row the narrowest window that it crosses, −1 for none; rows are summed once for all."""
    row = np.arange(side)
    inside = (row >= margins[:, None]) & (row < side - margins[:, None])
    rings: Indices = inside.sum(axis=0, dtype=np.int64) - 1
    return rings


@compiled
def _gather_all(
    stains: Maps,
    margins: Indices,
    coarse_margins: Indices,
    rings: Indices,
    coarse_rings: Indices,
    means: Sums,
    sizes: Maps,
    hematoxylin: Maps,
) -> None:
    side = stains.shape[2]
    smoothed = np.empty((3, side, side), dtype=np.float32)
    held = np.empty((3, side, side), dtype=np.float32)
    for number in range(stains.shape[1]):
        crop, mean = stains[:, number], means[:, :, number]
        for stain in range(3):
            smooth(crop[stain], held[0], smoothed[stain])
        for row in range(side):
            for column in range(side):
                hematoxylin[number, row, column] = smoothed[0, row, column]
        _bands(crop, smoothed, margins, rings, held, mean)
        for stain in range(2):
            halve(held[stain], sizes[stain, number])
        _tensor(smoothed, margins, rings, held, mean[:, _TENSOR:_NEAR])
        _nearness(held, coarse_margins, coarse_rings, mean[:, _NEAR])


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
def _bands(crop: Maps, smoothed: Maps, margins: Indices, rings: Indices, sizes: Maps, means: Sums) -> None:
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
        _gather(squares[stain], margins, means[:, stain])
    for stain in range(2):
        _gather(cubes[stain], margins, means[:, _CUBE + stain])
        _gather(lengths[stain], margins, means[:, _SIZE + stain])
    _gather(products, margins, means[:, _PRODUCT])


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
