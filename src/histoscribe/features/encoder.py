"""What every tile encoder offers, whether hand-made or learned."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class TileEncoder(Protocol):
    """Turns image crops into descriptors.

    Attributes
    ----------
    name : str
        Identifies the encoder and its version in cards and feature stores.
    dimension : int
        Length of one descriptor.
    crop_um : float
        Side of the square crop in µm.
    mpp : float
        µm per pixel of the crop: the slide is resampled to it.
    """

    @property
    def name(self) -> str:
        """Identifies the encoder and its version."""
        ...

    @property
    def dimension(self) -> int:
        """Length of one descriptor."""
        ...

    @property
    def crop_um(self) -> float:
        """Side of the crop in µm."""
        ...

    @property
    def mpp(self) -> float:
        """µm per pixel of the crop."""
        ...

    def encode(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Describe crops of shape (n, side, side, 3), RGB, as an array of shape (n, dimension)."""
        ...
