"""Crops of the slide around tiles, read chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SettingError
from histoscribe.progress import Progress
from histoscribe.slide.cache import PIXELS
from histoscribe.slide.model import Slide
from histoscribe.slide.pixels import WHITE, check_read
from histoscribe.slide.pyramid import Level
from histoscribe.slide.resample import Window, read_window
from histoscribe.tiles.placing import Tiles

_BLOCK = 384  # result pixels along one side of a block that is resampled once for all crops on it


def read_crops(
    slide: Slide,
    tiles: Tiles,
    *,
    crop_um: float,
    mpp: float,
    chunk: int = 256,
    progress: Progress | None = None,
) -> Iterator[NDArray[np.uint8]]:
    """Yield the crops of all tiles, in their order.

    All crops of a slide lie on one grid of pixels of `mpp`, anchored at the slide's corner, so a crop's
    middle is at most half such a pixel off its tile's centre. In return overlapping crops share what is
    decoded and resampled, in any order of tiles, and neither `chunk` nor the other tiles matter.

    Parameters
    ----------
    slide : Slide
        With known µm per pixel.
    tiles : Tiles
        Where to look.
    crop_um : float
        Side of a square crop in µm.
    mpp : float
        µm per pixel of the crops.
    chunk : int
        Most crops in one array.
    progress : Progress, optional
        Told about every chunk.

    Yields
    ------
    ndarray of uint8, shape (n, side, side, 3)
        RGB, `side` is round(crop_um / mpp); white outside the slide.

    Raises
    ------
    SlideError
        If the slide's µm per pixel are unknown, or a chunk would be unreasonably large.
    SettingError
        If the crops would have no pixels.
    Cancelled
        If `progress` says so.
    """
    side = round(crop_um / mpp) if mpp > 0 else 0
    if side < 1:
        raise SettingError(
            f"crops of {crop_um} µm at {mpp} µm per pixel have no pixels", remedy="give larger crops"
        )
    level = slide.level_for(mpp)
    assert slide.mpp is not None
    scale = slide.mpp / mpp
    corners = np.round(tiles.centres * scale - side / 2).astype(np.int64)
    starts = range(0, len(tiles), chunk)
    check_read(side * side, min(chunk, len(tiles)))
    for start in (progress or Progress()).track(starts, "reading tiles", len(starts)):
        part = corners[start : start + chunk]
        crops = np.empty((len(part), side, side, 3), dtype=np.uint8)
        for crop, (row, column) in zip(crops, part.tolist(), strict=True):
            _fill(crop, level, scale, row, column)
        yield crops


def _fill(crop: NDArray[np.uint8], level: Level, scale: float, row: int, column: int) -> None:
    """Copy a crop whose upper left pixel is (row, column) together from blocks."""
    side = len(crop)
    rows, columns = (side * level.downsample * scale for side in level.shape)
    for top in range(row // _BLOCK * _BLOCK, row + side, _BLOCK):
        for left in range(column // _BLOCK * _BLOCK, column + side, _BLOCK):
            first, last = max(top, row), min(top + _BLOCK, row + side)
            begin, end = max(left, column), min(left + _BLOCK, column + side)
            place = crop[first - row : last - row, begin - column : end - column]
            if top + _BLOCK <= 0 or left + _BLOCK <= 0 or top >= rows or left >= columns:
                place[:] = WHITE
                continue
            key = (level.downsample, scale, top, left)
            window = Window(top / scale, left / scale, _BLOCK / scale, _BLOCK / scale)
            block = PIXELS.get(level.pixels, key, partial(read_window, level, window, scale))
            place[:] = block[first - top : last - top, begin - left : end - left]
