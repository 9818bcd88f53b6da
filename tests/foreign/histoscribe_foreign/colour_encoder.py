"""A tile encoder: mean and deviation of the three colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class ColourEncoder:
    """Sees a tile of 20 µm in six numbers.

    Parameters
    ----------
    device : str
        Taken as Histoscribe gives it; these few sums stay on the processor.
    """

    name, dimension, crop_um, mpp = "colour@1", 6, 20.0, 1.0

    def __init__(self, device: str = "auto") -> None:
        self.device = device

    def encode(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Crops (n, side, side, 3) → (n, 6)."""
        pixels = crops.reshape(len(crops), -1, 3).astype(np.float32)
        return np.concatenate([pixels.mean(axis=1), pixels.std(axis=1)], axis=1)
