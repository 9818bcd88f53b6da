"""The pixels of one level of a TIFF: read tile by tile, broken tiles marked."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError
from histoscribe.slide.damage import tile_shape
from histoscribe.slide.model import WHITE
from histoscribe.slide.pixels import RgbPixels, to_rgb

if TYPE_CHECKING:
    from tifffile import TiffPageSeries

BROKEN = (255, 0, 255)
"""RGB colour of tiles that cannot be read: no stain looks like it."""

CONVERT = "convert it to an 8-bit RGB pyramid, for example with QuPath or vips"
COPY_AGAIN = "copy the file again from where it was scanned"

_PROBES = 4
_NOT_THE_TILE = (SlideError, MemoryError)


class BrokenTileWarning(UserWarning):
    """A tile could not be decoded and was painted in `BROKEN`."""


class TiffPixels(RgbPixels):
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
        super().__init__(page.imagelength, page.imagewidth, tile_shape(page))
        self._path, self._lost, self._tile = path, lost, tile_shape(page)
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

    def block(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """See `RgbPixels.block`; broken tiles come back in the colour `BROKEN`."""
        tiles = list(self._tiles(top, left, bottom, right))
        if not any(self._lost[tile] for tile, _ in tiles):
            # a decoder may raise anything; which tile it was shows below
            with contextlib.suppress(Exception):
                return self._decode(top, left, bottom, right)
        out = np.empty((bottom - top, right - left, 3), dtype=np.uint8)
        for tile, (first, start, last, stop) in tiles:
            out[first - top : last - top, start - left : stop - left] = self._tile_or_mark(
                tile, first, start, last, stop
            )
        return out

    def probe(self) -> None:
        """Decode a few tiles; raise `SlideError` if none of them can be."""
        inside = np.argwhere(~self._lost)
        chosen = inside[np.linspace(0, len(inside) - 1, min(_PROBES, len(inside))).astype(int)]
        for row, column in chosen:
            top, left = row * self._tile[0], column * self._tile[1]
            try:
                self._decode(top, left, top + 1, left + 1)
            except _NOT_THE_TILE:
                raise
            except Exception as error:  # as in block
                reason = error
            else:
                return
        raise SlideError(
            f"none of its tiles can be decoded ({reason})",
            where=self._path,
            remedy=f"{COPY_AGAIN}, or {CONVERT}",
        ) from reason

    def _decode(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
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

    def _tiles(
        self, top: int, left: int, bottom: int, right: int
    ) -> Iterator[tuple[tuple[int, int], tuple[int, int, int, int]]]:
        """The tiles that a block touches, each with its part of the block as top, left, bottom, right."""
        height, width = self._tile
        for row in range(top // height, -(-bottom // height)):
            for column in range(left // width, -(-right // width)):
                yield (
                    (row, column),
                    (
                        max(top, row * height),
                        max(left, column * width),
                        min(bottom, (row + 1) * height),
                        min(right, (column + 1) * width),
                    ),
                )

    def _tile_or_mark(
        self, tile: tuple[int, int], top: int, left: int, bottom: int, right: int
    ) -> NDArray[np.uint8]:
        if not self._lost[tile]:
            try:
                return self._decode(top, left, bottom, right)
            except _NOT_THE_TILE:
                raise
            except Exception:  # as in block
                self._lost[tile] = True
                warnings.warn(
                    f"{self._path.name}: the tile at row {top}, column {left} of the image with "
                    f"{self.shape[0]} × {self.shape[1]} pixels is broken; it is painted magenta",
                    BrokenTileWarning,
                    stacklevel=2,
                )
        return np.full((bottom - top, right - left, 3), BROKEN, dtype=np.uint8)
