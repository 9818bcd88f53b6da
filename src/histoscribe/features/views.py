"""Views: the same crops at several µm per pixel, as stain maps, each half as fine as the one before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from histoscribe.features.planes import halved, smoothed
from histoscribe.features.stains import stain_maps

Maps = NDArray[np.float32]


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

    def margin(self, window_um: float, side: int | None = None) -> int:
        """Pixels between the border of a map of `side` pixels and its central window."""
        return max(0, ((side or self.stains.shape[-1]) - round(window_um / self.um)) // 2)


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
    core = np.ascontiguousarray(crops[:, margin : side - margin, margin : side - margin])
    views = [View(um, stain_maps(core))]
    stains = stain_maps(np.ascontiguousarray(crops), block=2)
    while len(views) < levels:
        um *= 2
        views.append(View(um, stains))
        stains = halved(stains)
    return views
