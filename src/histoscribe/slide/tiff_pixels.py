"""The pixels of one level of a TIFF, read through zarr."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError
from histoscribe.slide.damage import tile_shape
from histoscribe.slide.model import WHITE
from histoscribe.slide.pixels import to_rgb
from histoscribe.slide.tiled import CONVERT, TiledPixels

if TYPE_CHECKING:
    from tifffile import TiffPageSeries


class TiffPixels(TiledPixels):
    """One level of a TIFF, read tile by tile through zarr.

    Parameters
    ----------
    level : TiffPageSeries
        The level.
    path : Path
        Its file, for messages.
    lost : ndarray of bool, shape (tile rows, tile columns)
        Tiles known to be broken.

    Attributes
    ----------
    channels : bool
        Whether colours are stored as separate channels, which might be other dyes.

    Raises
    ------
    SlideError
        If the level is not an 8-bit RGB or grey image.
    """

    def __init__(self, level: TiffPageSeries, path: Path, lost: NDArray[np.bool_]) -> None:
        import zarr

        page = level.keyframe
        super().__init__(page.imagelength, page.imagewidth, tile_shape(page), path, lost)
        axes = level.axes
        samples = [axis for axis in axes if axis not in "YX"]
        sizes = dict(zip(axes, level.shape, strict=True))
        count = sizes[samples[0]] if samples else 1
        if len(samples) > 1 or (samples and (samples[0] not in "SC" or count not in (3, 4))):
            raise SlideError(
                f"axes {axes} of {tuple(sizes.values())} are not an RGB image", where=path, remedy=CONVERT
            )
        if level.dtype != np.uint8 or page.photometric not in (1, 2, 6):
            kind = f"{level.dtype} {getattr(page.photometric, 'name', page.photometric)}"
            raise SlideError(f"{kind} pixels are not 8-bit RGB", where=path, remedy=CONVERT)
        if samples == ["C"] and page.photometric == 1 and count != 3:
            raise SlideError(f"{count} channels are not an RGB image", where=path, remedy=CONVERT)
        self.channels = samples == ["C"]
        self._axes, self._sample = axes, samples[0] if samples else ""
        self._array: Any = zarr.open_array(store=level.aszarr(level=0, fillvalue=WHITE), mode="r")

    def decode(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """See `TiledPixels.decode`."""
        where = {"Y": slice(top, bottom), "X": slice(left, right)}
        try:
            part = np.asarray(self._array[tuple(where.get(axis, slice(None)) for axis in self._axes)])
        except OSError as error:
            raise SlideError(
                f"can no longer be read ({error.strerror or error})",
                where=self._path,
                remedy="check that its disk is still there",
            ) from error
        return to_rgb(part.transpose([self._axes.index(axis) for axis in "YX" + self._sample]))
