"""Tiles: where on a slide to look, and how much of it to see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Tiles:
    """Places on one slide.

    Parameters
    ----------
    centres : ndarray of float64, shape (tiles, 2)
        Centres in full-resolution pixels as (row, column).
    pitch_um : float
        Distance of neighbouring tiles in µm.
    names : tuple of str
        One unique name per tile: the barcode of a spot, or `r<row>c<column>` on a grid.
    spot_um : float
        Diameter in µm of what one tile stands for.
    """

    centres: NDArray[np.float64]
    pitch_um: float
    names: tuple[str, ...]
    spot_um: float

    def __len__(self) -> int:
        return len(self.names)
