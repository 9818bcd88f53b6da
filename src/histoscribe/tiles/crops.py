"""Crops of the slide around tiles, read chunk by chunk, and how fine an image truly is."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from histoscribe.arrays import Pixels, Wide
from histoscribe.errors import SettingError
from histoscribe.progress import Progress
from histoscribe.slide.cache import PIXELS
from histoscribe.slide.model import Slide
from histoscribe.slide.pixels import WHITE, check_read
from histoscribe.slide.pyramid import Level
from histoscribe.slide.resample import Window, read_window
from histoscribe.tiles.placing import Tiles

_BLOCK = 384  # result pixels along one side of a block that is resampled once for all crops on it
_SIDE = 256  # pixels of a crop that is looked at
_MOST = 24
_SEEN = 0.1  # share of the strongest octave's energy from which detail counts as there
_STEP = 0.5  # octaves
_GLASS = 215  # mean colour from which a pixel tells nothing
_ENLARGED, _FLAT = 0.45, 0.98  # shares of equal neighbours of an enlarged image, and of one without detail


def read_crops(
    slide: Slide,
    tiles: Tiles,
    *,
    crop_um: float,
    mpp: float,
    chunk: int = 256,
    progress: Progress | None = None,
) -> Iterator[Pixels]:
    """Yield the crops of all tiles, in their order.

    All crops of a slide lie on one grid of pixels of `mpp`, anchored at the slide's corner, so a crop's
    middle is at most half such a pixel off its tile's centre. In return overlapping crops share what is
    decoded and resampled, in any order of tiles, and neither `chunk` nor the other tiles matter.

    Parameters
    ----------
    slide : Slide
        With known µm per pixel.
    crop_um : float
        Side of a square crop in µm.
    mpp : float
        µm per pixel of the crops.
    chunk : int
        Most crops in one array.

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
        remedy = "give larger crops"
        raise SettingError(f"crops of {crop_um} µm at {mpp} µm per pixel have no pixels", remedy=remedy)
    level = slide.level_for(mpp)
    scale = slide.known_mpp / mpp
    corners = np.round(tiles.centres * scale - side / 2).astype(np.int64)
    starts = range(0, len(tiles), chunk)
    check_read(side * side, min(chunk, len(tiles)))
    for start in (progress or Progress()).track(starts, "reading tiles", len(starts)):
        part = corners[start : start + chunk]
        crops = np.empty((len(part), side, side, 3), dtype=np.uint8)
        for crop, (row, column) in zip(crops, part.tolist(), strict=True):
            _fill(crop, level, scale, row, column)
        yield crops


def _fill(crop: Pixels, level: Level, scale: float, row: int, column: int) -> None:
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


def image_fineness(slide: Slide, tiles: Tiles, mpp: float) -> float:
    """µm per pixel of an image as it truly is at its tiles, never below `mpp`.

    The larger of what the finest level states and of what its pixels show: an image that was enlarged, or is
    out of focus, has no energy at the frequencies of its own pixels, or repeats each of them. In the radial
    power spectrum P of tissue, f² P is about level (Field 1987); the highest frequency at which it comes to a
    tenth of its largest value is taken for the Nyquist frequency of the true pixels.

    Parameters
    ----------
    slide : Slide
        With known µm per pixel.
    tiles : Tiles
        At most 24 of them, evenly spread, are looked at.
    mpp : float
        µm per pixel at which the image is read.

    Raises
    ------
    SlideError
        If the slide's µm per pixel are unknown.
    """
    few = tiles.spread(_MOST)
    crops = next(read_crops(slide, few, crop_um=_SIDE * mpp, mpp=mpp))
    stated = slide.known_mpp * slide.levels[0].downsample
    return max(stated * repeated_pixels(slide.levels[0], few.centres), mpp * finest_pixel(crops))


def repeated_pixels(level: Level, centres: Wide) -> float:
    """How often each pixel of a level stands in a row: above 1 where it was enlarged without smoothing."""
    found = np.zeros((2, 2))
    for row, column in (centres / level.downsample).astype(np.int64):
        top, left = max(row - _SIDE // 2, 0), max(column - _SIDE // 2, 0)
        piece = np.asarray(level.pixels[top : top + _SIDE, left : left + _SIDE]).astype(np.int16)
        tissue = piece.mean(axis=2) < _GLASS
        for axis, seen in enumerate((tissue[1:], tissue[:, 1:])):
            found[axis] += (~np.diff(piece, axis=axis).any(axis=2) & seen).sum(), seen.sum()
    same = float((found[:, 0] / np.maximum(found[:, 1], 1)).min())
    return 1 / (1 - same) if _ENLARGED < same < _FLAT else 1.0


def finest_pixel(crops: Pixels) -> float:
    """How many of their pixels the finest detail of crops takes, shape (n, side, side, 3); 1 at best."""
    grey = crops.mean(axis=3, dtype=np.float32)
    window = np.hanning(grey.shape[1]).astype(np.float32)
    grey = (grey - grey.mean(axis=(1, 2), keepdims=True)) * window[:, None] * window
    power = (np.abs(np.fft.rfft2(grey)) ** 2).mean(axis=0, dtype=np.float64)
    down, across = np.fft.fftfreq(grey.shape[1]), np.fft.rfftfreq(grey.shape[2])
    frequency = np.hypot(down[:, None], across)
    octave = np.floor(-np.log2(np.maximum(2 * frequency, 1e-6)) / _STEP).astype(np.int64)
    inside = (octave >= 0) & (octave < 12)
    total = np.bincount(octave[inside], (frequency**2 * power)[inside], minlength=12)
    energy = total / np.maximum(np.bincount(octave[inside], minlength=12), 1)
    if not energy.max() > 0:
        return 1.0
    level = np.log10(np.maximum(energy / energy.max(), 1e-12)) - np.log10(_SEEN)
    first = int(np.argmax(level >= 0))
    place = first if first == 0 else first - level[first] / (level[first] - level[first - 1])
    return float(2 ** (_STEP * (max(place, 0) + 0.5))) if place > 0 else 1.0
