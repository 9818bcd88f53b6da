"""The pixels of one level of a TIFF: tiles decoded one by one, anything else through zarr."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError
from histoscribe.slide.claims import HEADER, check_tile, is_closed, is_known, states_extent
from histoscribe.slide.model import WHITE
from histoscribe.slide.pixels import to_rgb
from histoscribe.slide.reasons import reason_of
from histoscribe.slide.tiff.damage import tile_shape
from histoscribe.slide.tiled import CONVERT, TiledPixels

if TYPE_CHECKING:
    from tifffile import TiffPageSeries


_JPEG = (6, 7)
_APERIO_YCC = 33003  # JPEG 2000 whose components are YCbCr, which nothing in the codestream says


class FileBytes:
    """A file that several threads read from.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._stream = path.open("rb")
        self._lock = threading.Lock()

    def read(self, offset: int, count: int) -> bytes:
        """Read `count` bytes, fewer at the end of the file."""
        with self._lock:
            self._stream.seek(offset)
            return self._stream.read(count)


def from_ycc(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn YCbCr of full range (ITU-R BT.601, as in JFIF) into RGB; shape (rows, columns, 3)."""
    luma, blue, red = np.moveaxis(pixels[:, :, :3].astype(np.float32), 2, 0)
    blue -= 128
    red -= 128
    mixed = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    return np.stack(mixed, axis=2).round().clip(0, 255).astype(np.uint8)


def check_segments(level: TiffPageSeries, content: FileBytes) -> None:
    """Raise `ValueError` if any tile or strip of a level claims more pixels than it has place for."""
    for page in level.pages:
        if page is None or not states_extent(level.keyframe.compression):
            continue
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
            data = content.read(offset, min(count, HEADER)) if count else b""
            if data:
                check_tile(level.keyframe.compression, data, *tile_shape(level.keyframe))


class TiffPixels(TiledPixels):
    """One level of a TIFF.

    Parameters
    ----------
    level : TiffPageSeries
        The level.
    path : Path
        Its file, for messages.
    content : FileBytes
        The file.
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

    def __init__(
        self, level: TiffPageSeries, path: Path, content: FileBytes, lost: NDArray[np.bool_]
    ) -> None:
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
        if page.photometric == 6 and page.compression not in (*_JPEG, _APERIO_YCC):
            raise SlideError("YCbCr pixels that are not JPEG are not RGB", where=path, remedy=CONVERT)
        if not is_known(page.compression):
            kind = getattr(page.compression, "name", str(page.compression))
            raise SlideError(f"is packed with {kind}, which is not known", where=path, remedy=CONVERT)
        if samples == ["C"] and page.photometric == 1 and count != 3:
            raise SlideError(f"{count} channels are not an RGB image", where=path, remedy=CONVERT)
        self.channels = samples == ["C"]
        self._axes, self._sample = axes, samples[0] if samples else ""
        self._level, self._page, self._content = level, page, content
        self._by_tile = page.is_tiled and axes in ("YXS", "YX") and len(level.pages) == 1

    def decode(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """See `TiledPixels.decode`."""
        try:
            if self._by_tile:
                return self.pasted(top, left, bottom, right, self._decode_tile)
            return self._from_zarr(top, left, bottom, right)
        except OSError as error:
            raise SlideError(
                f"can no longer be read ({reason_of(error)})",
                where=self._path,
                remedy="check that its disk is still there",
            ) from error

    def _decode_tile(self, row: int, column: int) -> NDArray[np.uint8]:
        """One whole tile; a tile that the file states as empty is glass."""
        page = self._page
        index = row * -(-page.imagewidth // self._tile[1]) + column
        count = page.databytecounts[index]
        if not count or not page.dataoffsets[index]:
            return np.full((*self._tile, 3), WHITE, dtype=np.uint8)
        data = self._content.read(page.dataoffsets[index], count)
        if len(data) != count:
            raise ValueError("the tile is cut off")
        check_tile(page.compression, data, *self._tile)
        if self._closes and not is_closed(page.compression, data):
            raise ValueError("the tile is cut off")
        tables = {
            name: value for name in ("jpegtables", "jpegheader") if (value := getattr(page, name)) is not None
        }
        decoded = page.decode(data, index, _fullsize=True, **tables)[0]
        tile = self._in_rgb(np.asarray(decoded)[0])
        if tile.shape != (*self._tile, 3) or tile.dtype != np.uint8:
            raise ValueError(f"the tile decodes to {tile.shape}")
        return np.ascontiguousarray(tile)

    @cached_property
    def _closes(self) -> bool:
        """Whether this writer ends its tiles as the format wants: told by the first, middle and last one."""
        offsets, counts = self._page.dataoffsets, self._page.databytecounts
        listed = min(len(offsets), len(counts))
        some = {0, listed // 2, listed - 1}
        ends = [self._content.read(max(0, offsets[n] + counts[n] - 64), 64) for n in some if counts[n]]
        return any(is_closed(self._page.compression, end) for end in ends)

    def _from_zarr(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        where = {"Y": slice(top, bottom), "X": slice(left, right)}
        part = np.asarray(self._array[tuple(where.get(axis, slice(None)) for axis in self._axes)])
        return self._in_rgb(part.transpose([self._axes.index(axis) for axis in "YX" + self._sample]))

    def _in_rgb(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return from_ycc(pixels) if self._page.compression == _APERIO_YCC else to_rgb(pixels)

    @cached_property
    def _array(self) -> Any:
        import zarr

        check_segments(self._level, self._content)
        return zarr.open_array(store=self._level.aszarr(level=0, fillvalue=WHITE), mode="r")
