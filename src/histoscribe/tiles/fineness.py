"""How fine an image truly is: the smallest detail that its pixels hold, whatever size the file gives them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from histoscribe.slide.model import Slide
from histoscribe.tiles.crops import read_crops
from histoscribe.tiles.placing import Tiles

_SIDE = 256  # pixels of a crop that is looked at
_MOST = 24
_SEEN = 0.1  # share of the strongest octave's energy from which detail counts as there
_STEP = 0.5  # octaves


def image_fineness(slide: Slide, tiles: Tiles, mpp: float) -> float:
    """µm per pixel of an image as it truly is at its tiles, never below `mpp`.

    The larger of what the finest level states and of what its pixels show: an image that was enlarged, or is
    out of focus, has no energy at the frequencies of its own pixels. In the radial power spectrum P of
    tissue, f² P is about level (Field 1987); the highest frequency at which it comes to a tenth of its
    largest value is taken for the Nyquist frequency of the true pixels.

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
    rows = np.unique(np.linspace(0, len(tiles) - 1, min(_MOST, len(tiles))).round().astype(np.int64))
    few = replace(tiles, centres=tiles.centres[rows], names=tuple(tiles.names[row] for row in rows))
    crops = next(read_crops(slide, few, crop_um=_SIDE * mpp, mpp=mpp))
    assert slide.mpp is not None  # reading has checked it
    return max(slide.mpp * slide.levels[0].downsample, mpp * finest_pixel(crops))


def finest_pixel(crops: NDArray[np.uint8]) -> float:
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
