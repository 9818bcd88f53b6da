"""Views: the same crops at several µm per pixel, as stain maps, each half as fine as the one before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from histoscribe.features.stains import optical_density, unmix

Maps = NDArray[np.float32]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, eq=False)
class View:
    """Stain maps of a batch of crops at one resolution.

    Parameters
    ----------
    um : float
        µm per pixel.
    stains : ndarray of float32, shape (3, n, side, side)
        Hematoxylin, eosin, residual.
    """

    um: float
    stains: Maps

    @cached_property
    def smooth(self) -> Maps:
        """The stain maps smoothed by σ = 1 pixel."""
        return smoothed(self.stains)

    def shown(self, maps: NDArray[Number], window_um: float) -> NDArray[Number]:
        """The central window of maps of this resolution, its pixels flattened: shape (..., pixels)."""
        margin = max(0, (maps.shape[-1] - round(window_um / self.um)) // 2)
        stop = maps.shape[-1] - margin
        window = np.ascontiguousarray(maps[..., margin:stop, margin:stop])
        return window.reshape(*maps.shape[:-2], -1)


def halved(maps: Maps) -> Maps:
    """Mean of each 2 × 2 pixels."""
    total = maps[..., ::2, ::2] + maps[..., 1::2, 1::2]
    total += maps[..., ::2, 1::2] + maps[..., 1::2, ::2]
    total *= np.float32(0.25)
    return total


def smoothed(maps: Maps) -> Maps:
    """Binomial smoothing (1 4 6 4 1) along both axes, edges repeated: σ = 1 pixel."""
    for _ in range(2):
        for axis in (-2, -1):
            maps = _smoothed_once(maps, axis)
    return maps


def _smoothed_once(maps: Maps, axis: int) -> Maps:
    """(1 2 1) / 4 along one axis; the same to the bit when the axis is reversed."""
    moved = maps if axis == -1 else maps.swapaxes(-1, axis)
    result = np.empty_like(maps)
    out = result if axis == -1 else result.swapaxes(-1, axis)
    np.add(moved[..., :-2], moved[..., 2:], out=out[..., 1:-1])
    np.add(moved[..., 0], moved[..., 1], out=out[..., 0])
    np.add(moved[..., -1], moved[..., -2], out=out[..., -1])
    result += maps
    result += maps
    result *= np.float32(0.25)
    return result


def box_mean(maps: Maps, size: int) -> Maps:
    """Mean over `size` × `size` pixels around each, edges repeated."""
    along = ndimage.uniform_filter1d(maps, size, axis=-1, mode="nearest")
    mean: Maps = ndimage.uniform_filter1d(along, size, axis=-2, mode="nearest")
    return mean


def views_of(crops: NDArray[np.uint8], um: float, levels: int, core_um: float) -> list[View]:
    """Build the views of a batch, finest first.

    Parameters
    ----------
    crops : ndarray of uint8, shape (n, side, side, 3)
        RGB; the side a multiple of 2 to the power of `levels - 1`.
    um : float
        µm per pixel of the crops.
    levels : int
        How many resolutions.
    core_um : float
        Side in µm of the centre shown by the finest view; the others show all.

    Returns
    -------
    list of View
        `levels` of them, at `um`, 2 `um`, 4 `um`, ... per pixel.
    """
    side = crops.shape[1]
    margin = (side - round(core_um / um)) // 2
    core = crops[:, margin : side - margin, margin : side - margin]
    views = [View(um, unmix(optical_density(np.ascontiguousarray(np.moveaxis(core, -1, 0)), 255)))]
    light = crops[:, ::2].astype(np.uint16)
    light += crops[:, 1::2]
    planes = np.ascontiguousarray(np.moveaxis(light, -1, 0))
    stains = unmix(optical_density(planes[..., ::2] + planes[..., 1::2], 4 * 255))
    while len(views) < levels:
        um *= 2
        views.append(View(um, stains))
        stains = halved(stains)
    return views
