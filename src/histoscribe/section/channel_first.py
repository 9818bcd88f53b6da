"""Images stored channel by channel, as SpatialData keeps them, seen as rows of RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class ChannelFirst:
    """A lazily read level of shape (rows, columns, 3) over an array of shape (channels, rows, columns).

    Parameters
    ----------
    array : zarr.Array of uint8
        Three channels, or four of which the last is left out.
    """

    ndim = 3
    dtype = np.dtype(np.uint8)

    def __init__(self, array: Any) -> None:
        self._array = array
        self.shape = (int(array.shape[1]), int(array.shape[2]), 3)
        self.chunks = (int(array.chunks[1]), int(array.chunks[2]), 3)

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        keys = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in keys:
            at = keys.index(Ellipsis)
            keys[at : at + 1] = [slice(None)] * (4 - len(keys))
        rows, columns, channels = keys + [slice(None)] * (3 - len(keys))
        pixels = np.asarray(self._array[:3, rows, columns], dtype=np.uint8)
        return np.ascontiguousarray(np.moveaxis(pixels, 0, -1)[..., channels])
