"""The tiles and strips of a TIFF: which cannot be there, and which claim more than they have place for.

Checked against the size of the file before anything is decoded.
"""

from __future__ import annotations

import math
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoscribe.slide.encoded import BY_HEADER, HEADER, check_tile

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffPageSeries

_LEAST_ENTRY = 4  # bytes that a directory spends at least on one tile


class FileBytes:
    """A file that several threads read from."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("rb")
        self._lock = threading.Lock()
        weakref.finalize(self, self._stream.close)

    def read(self, offset: int, count: int) -> bytes:
        """Read `count` bytes, fewer at the end of the file."""
        with self._lock:
            self._stream.seek(offset)
            return self._stream.read(count)


def tile_shape(page: TiffPage) -> tuple[int, int]:
    """Rows and columns of one tile or strip in pixels."""
    if page.is_tiled:
        return max(1, page.tilelength), max(1, page.tilewidth)
    return max(1, min(page.rowsperstrip, page.imagelength)), max(1, page.imagewidth)


def lost_tiles(level: TiffPageSeries, size: int) -> NDArray[np.bool_] | None:
    """Mark the tiles (or strips) of a level that lie beyond the end of the file.

    `level`: one level of a pyramid; `size`: bytes of the file. Returns (tile rows, tile columns); None where
    the level claims more tiles than a file of this size could list.
    """
    page = level.keyframe
    height, width = tile_shape(page)
    rows, columns = math.ceil(page.imagelength / height), math.ceil(page.imagewidth / width)
    if rows * columns * _LEAST_ENTRY > size:
        return None
    lost = np.zeros((rows, columns), dtype=np.bool_)
    for plane in level.pages:
        if plane is None:
            continue
        # as floats: a damaged directory may state 64-bit numbers whose sum has no place in an int64
        offsets, counts = (np.asarray(v, dtype=np.float64) for v in (plane.dataoffsets, plane.databytecounts))
        listed = min(len(offsets), len(counts))
        beyond = np.ones(math.ceil(max(listed, 1) / (rows * columns)) * rows * columns, dtype=np.bool_)
        beyond[:listed] = offsets[:listed] + counts[:listed] > size
        lost |= beyond.reshape(-1, rows, columns).any(axis=0)
    return lost


def check_segments(level: TiffPageSeries, content: FileBytes) -> None:
    """Raise `ValueError` if any tile or strip of a level claims more pixels than it has place for."""
    for page in level.pages:
        if page is None or level.keyframe.compression not in BY_HEADER:
            continue
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
            data = content.read(offset, min(count, HEADER)) if count else b""
            if data:
                check_tile(level.keyframe.compression, data, *tile_shape(level.keyframe))


def directory_is_cut(tif: TiffFile) -> bool:
    """Whether the list of pages goes on beyond the end of the file."""
    place = tif.pages.next_page_offset
    stream = tif.filehandle
    if place is None or place + tif.tiff.offsetsize > stream.size:
        return True
    stream.seek(place)
    following = int.from_bytes(stream.read(tif.tiff.offsetsize), "big" if tif.byteorder == ">" else "little")
    return following >= stream.size
