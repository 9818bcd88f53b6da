"""The pixels of one level of a slide that OpenSlide reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histoscribe.slide.colour import to_rgb
from histoscribe.slide.openslide.handles import Handles
from histoscribe.slide.tiled import TiledPixels


class OpenSlidePixels(TiledPixels):
    """One level, read tile by tile on a fixed grid, so that a pixel's value does not depend on the read.

    OpenSlide places a read by full-resolution pixels; on a level whose factor is not whole it would
    shift by a fraction of a pixel with the corner.

    Parameters
    ----------
    handles : Handles
        The open slide.
    path : Path
        Its file, for messages.
    number : int
        Which level.
    rows, columns : int
        Extent.
    factor : float
        Full-resolution pixels per pixel.
    tile : tuple of int
        Rows and columns of one tile.
    """

    def __init__(
        self,
        handles: Handles,
        path: Path,
        number: int,
        rows: int,
        columns: int,
        factor: float,
        tile: tuple[int, int],
    ) -> None:
        super().__init__(rows, columns, tile, path)
        self._handles, self._number, self._factor = handles, number, factor

    def decode(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """See `TiledPixels.decode`."""
        return self.pasted(top, left, bottom, right, self._read)

    def _read(self, row: int, column: int) -> NDArray[np.uint8]:
        top, left = row * self._tile[0], column * self._tile[1]
        height, width = (
            min(tile, side - at) for tile, side, at in zip(self._tile, self.shape, (top, left), strict=False)
        )
        corner = round(left * self._factor), round(top * self._factor)
        image = self._handles.use(lambda handle: handle.read_region(corner, self._number, (width, height)))
        return np.ascontiguousarray(to_rgb(np.asarray(image)))
