"""What every tile encoder offers, whether hand-made or learned."""

from typing import Protocol, runtime_checkable

import numpy as np

from histoscribe.arrays import Floats, Pixels
from histoscribe.errors import SettingError


@runtime_checkable
class TileEncoder(Protocol):
    """Turns image crops into descriptors."""

    @property
    def name(self) -> str:
        """Identifies the encoder and its version in cards and feature stores."""
        ...

    @property
    def dimension(self) -> int:
        """Length of one descriptor."""
        ...

    @property
    def crop_um(self) -> float:
        """Side of the square crop in µm."""
        ...

    @property
    def mpp(self) -> float:
        """µm per pixel of the crop: the slide is resampled to it."""
        ...

    def encode(self, crops: Pixels) -> Floats:
        """Describe crops of shape (n, side, side, 3), RGB, as an array of shape (n, dimension)."""
        ...


def check_crops(crops: Pixels, side: int, name: str) -> None:
    """Raise `SettingError` unless crops are uint8 of shape (n, side, side, 3), as this encoder wants."""
    if crops.dtype != np.uint8 or crops.shape[1:] != (side, side, 3):
        problem = f"crops of shape {crops.shape} and type {crops.dtype} do not fit the encoder {name}"
        raise SettingError(problem, remedy=f"pass uint8 crops of shape (n, {side}, {side}, 3)")
