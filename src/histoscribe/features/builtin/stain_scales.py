"""Stain scales: the same crops at several µm per pixel, as stain maps, each half as fine as the last."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from histoscribe.features.builtin.bands import BandStatistics, band_statistics
from histoscribe.features.builtin.planes import halved
from histoscribe.features.builtin.stains import stain_maps

WINDOWS_UM = (512.0, 256.0, 128.0, 64.0)
"""Sides of the central windows, widest first."""

Maps = NDArray[np.float32]


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


def stain_scales(crops: NDArray[np.uint8], um: float, levels: int, core_um: float) -> list[StainScale]:
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
