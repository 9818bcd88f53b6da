"""Which tiles of a TIFF cannot be there: checked against the size of the file before anything is decoded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage, TiffPageSeries

_LEAST_ENTRY = 4  # bytes that a directory spends at least on one tile


def lost_tiles(level: TiffPageSeries, size: int) -> NDArray[np.bool_] | None:
    """Mark the tiles (or strips) of a level that lie beyond the end of the file.

    Parameters
    ----------
    level : TiffPageSeries
        One level of a pyramid.
    size : int
        Bytes of the file.

    Returns
    -------
    ndarray of bool, shape (tile rows, tile columns), or None
        None where the level claims more tiles than a file of this size could list.
    """
    page = level.keyframe
    rows, columns = tile_grid(page)
    if rows * columns * _LEAST_ENTRY > size:
        return None
    lost = np.zeros((rows, columns), dtype=np.bool_)
    for plane in level.pages:
        if plane is None:
            continue
        offsets, counts = _sized(plane.dataoffsets), _sized(plane.databytecounts)
        listed = min(len(offsets), len(counts))
        beyond = np.ones(math.ceil(max(listed, 1) / (rows * columns)) * rows * columns, dtype=np.bool_)
        beyond[:listed] = offsets[:listed] + counts[:listed] > size
        lost |= beyond.reshape(-1, rows, columns).any(axis=0)
    return lost


def tile_grid(page: TiffPage) -> tuple[int, int]:
    """Rows and columns of a page's grid of tiles or strips."""
    height, width = tile_shape(page)
    return math.ceil(page.imagelength / height), math.ceil(page.imagewidth / width)


def tile_shape(page: TiffPage) -> tuple[int, int]:
    """Rows and columns of one tile or strip in pixels."""
    if page.is_tiled:
        return max(1, page.tilelength), max(1, page.tilewidth)
    return max(1, min(page.rowsperstrip, page.imagelength)), max(1, page.imagewidth)


def directory_is_cut(tif: TiffFile) -> bool:
    """Whether the list of pages goes on beyond the end of the file."""
    place = tif.pages.next_page_offset
    stream = tif.filehandle
    if place is None or place + tif.tiff.offsetsize > stream.size:
        return True
    stream.seek(place)
    following = int.from_bytes(stream.read(tif.tiff.offsetsize), "big" if tif.byteorder == ">" else "little")
    return following >= stream.size


def _sized(values: tuple[int, ...]) -> NDArray[np.float64]:
    # as floats: a damaged directory may state 64-bit numbers whose sum has no place in an int64
    return np.asarray(values, dtype=np.float64)
