"""The pixels of one level of a TIFF: tiles decoded one by one, anything else through zarr."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError, told_as
from histoscribe.slide.colour import from_ycc, to_rgb
from histoscribe.slide.encoded import KNOWN, check_tile, is_closed
from histoscribe.slide.pixels import CONVERT, WHITE
from histoscribe.slide.tiff.segments import FileBytes, check_segments, tile_shape
from histoscribe.slide.tiled import TiledPixels

if TYPE_CHECKING:
    from tifffile import TiffPageSeries


_JPEG = (6, 7)
_APERIO_YCC = 33003  # JPEG 2000 whose components are YCbCr, which nothing in the codestream says
_ASSOCIATED, _UNASSOCIATED = 1, 2  # what an extra sample is: alpha that colours are multiplied with, or not


class TiffPixels(TiledPixels):
    """One level of a TIFF.

    `lost` (tile rows, tile columns): tiles known to be broken; `samples`: how many a pixel has: 1 is grey;
    `channels`: whether colours are stored as separate channels, which might be other dyes; `alpha`: whether
    the last sample is alpha. Raises `SlideError` if the level is not an 8-bit RGB or grey image.
    """

    def __init__(
        self, level: TiffPageSeries, path: Path, content: FileBytes, lost: NDArray[np.bool_]
    ) -> None:
        page = level.keyframe
        super().__init__(page.imagelength, page.imagewidth, tile_shape(page), path, lost)
        axes = level.axes
        more = [axis for axis in axes if axis not in "YX"]
        sizes = dict(zip(axes, level.shape, strict=True))
        extra = [int(kind) for kind in page.extrasamples]
        self.samples = sizes[more[0]] if more else 1
        self.channels = more == ["C"]
        self.alpha = extra[-1:] in ([_ASSOCIATED], [_UNASSOCIATED])
        fitting = (3, 4) if not self.alpha or self.channels else (2, 3, 4)
        if len(more) > 1 or (more and (more[0] not in "SC" or self.samples not in fitting)):
            raise self._refused(f"axes {axes} of {tuple(sizes.values())} are not an RGB image")
        if level.dtype != np.uint8 or page.photometric not in (1, 2, 6):
            kind = f"{level.dtype} {getattr(page.photometric, 'name', page.photometric)}"
            raise self._refused(f"{kind} pixels are not 8-bit RGB")
        if page.photometric == 6 and page.compression not in (*_JPEG, _APERIO_YCC):
            raise self._refused("YCbCr pixels that are not JPEG are not RGB")
        if page.compression not in KNOWN:
            kind = getattr(page.compression, "name", str(page.compression))
            raise self._refused(f"is packed with {kind}, which is not known")
        if self.channels and page.photometric == 1 and self.samples != 3:
            raise self._refused(f"{self.samples} channels are not an RGB image")
        self._premultiplied = extra[-1:] == [_ASSOCIATED]
        self._axes, self._sample = axes, more[0] if more else ""
        self._level, self._page, self._content = level, page, content
        self._by_tile = page.is_tiled and axes in ("YXS", "YX") and len(level.pages) == 1

    def decode(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """See `TiledPixels.decode`."""
        remedy = "check that its disk is still there"
        with told_as(SlideError, "can no longer be read", OSError, where=self._path, remedy=remedy):
            if self._by_tile:
                return super().decode(top, left, bottom, right)
            where = {"Y": slice(top, bottom), "X": slice(left, right)}
            part = np.asarray(self._array[tuple(where.get(axis, slice(None)) for axis in self._axes)])
            return self._in_rgb(part.transpose([self._axes.index(axis) for axis in "YX" + self._sample]))

    def _refused(self, problem: str) -> SlideError:
        return SlideError(problem, where=self._path, remedy=CONVERT)

    def read_tile(self, row: int, column: int) -> NDArray[np.uint8]:
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
        tables = {name: getattr(page, name) for name in ("jpegtables", "jpegheader")}
        tables = {name: table for name, table in tables.items() if table is not None}
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

    def _in_rgb(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self._page.compression == _APERIO_YCC:
            return from_ycc(pixels)
        return to_rgb(pixels, alpha=self.alpha, premultiplied=self._premultiplied)

    @cached_property
    def _array(self) -> Any:
        import zarr

        check_segments(self._level, self._content)
        return zarr.open_array(store=self._level.aszarr(level=0, fillvalue=WHITE), mode="r")
