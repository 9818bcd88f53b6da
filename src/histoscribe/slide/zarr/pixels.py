"""The pixels of one level of an OME-Zarr image."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError
from histoscribe.slide.colour import to_rgb
from histoscribe.slide.pixels import CONVERT
from histoscribe.slide.tiled import TiledPixels
from histoscribe.slide.zarr.array import ZarrArray

_MOST_TILE = 2**26  # pixels


class MissingTileWarning(UserWarning):
    """A tile is not stored, which may be meant so, and is shown in the fill value that the store states."""


class ZarrPixels(TiledPixels):
    """One level of an OME-Zarr image, chunk by chunk; the first of several times and planes.

    Parameters
    ----------
    array : ZarrArray
        The level.
    axes : tuple of str
        Names of its axes.
    path : Path
        Its store, for messages.
    complete : bool
        Whether every chunk must be there: one that is not is broken then, and else in the fill value.

    Raises
    ------
    SlideError
        If it is not a grey, an RGB or an RGBA image.
    """

    def __init__(self, array: ZarrArray, axes: tuple[str, ...], path: Path, *, complete: bool) -> None:
        if len(array.shape) != len(axes):
            raise SlideError(f"axes {axes} do not fit the shape {array.shape}", where=path, remedy=CONVERT)
        self._array, self._axes, self._complete = array, axes, complete
        extent = dict(zip(axes, array.shape, strict=True))
        chunk = dict(zip(axes, array.chunks, strict=True))
        self._channels = extent.get("c", 1)
        self._per_chunk = chunk.get("c", 1)
        if self._channels not in (1, 3, 4):
            raise SlideError(f"{self._channels} channels are not an RGB image", where=path, remedy=CONVERT)
        if chunk["y"] * chunk["x"] > _MOST_TILE:
            raise SlideError(f"has tiles of {chunk['y']} × {chunk['x']} pixels", where=path, remedy=CONVERT)
        self._warned = False
        super().__init__(extent["y"], extent["x"], (chunk["y"], chunk["x"]), path)

    def read_tile(self, row: int, column: int) -> NDArray[np.uint8]:
        """One tile with all its channels; at the lower and right edge it may reach beyond the level."""
        parts = []
        for channel in range(0, self._channels, self._per_chunk):
            at = {"y": row, "x": column, "c": channel // self._per_chunk}
            part = self._array.chunk([at.get(axis, 0) for axis in self._axes])
            if part is None:
                part = self._fill()
            order = [self._axes.index(axis) for axis in ("y", "x", "c") if axis in self._axes]
            rest = [axis for axis in range(len(self._axes)) if axis not in order]
            planes = part.transpose(rest + order)[(0,) * len(rest)]
            parts.append(planes.reshape(*self._tile, -1))
        whole = np.concatenate(parts, axis=2)[:, :, : self._channels]
        return np.ascontiguousarray(to_rgb(whole))

    def _fill(self) -> NDArray[np.uint8]:
        if self._complete:
            raise ValueError("a chunk is missing")
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"{self._path.name}: tiles of the image with {self.shape[0]} × {self.shape[1]} pixels are "
                f"not stored; they are shown in its fill value {self._array.fill}",
                MissingTileWarning,
                stacklevel=2,
            )
        return np.full(self._array.chunks, self._array.fill, dtype=np.uint8)
