"""Texture: how stain varies from pixel to pixel at one scale, without regard to direction of the slide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from histoscribe.features.colour import Named
from histoscribe.features.stains import STAINS
from histoscribe.features.views import View, smoothed

_FLOOR = np.float32(1e-6)  # variance in OD² far below that of any stained tissue
_PATTERNS = 10


def detail(view: View, windows_um: Sequence[float]) -> Iterator[Named]:
    """Yield the energy of a difference-of-Gaussians band, its skewness, and how stains share it.

    The band is the map less its smoothing by σ = 1 pixel, as in a Laplacian pyramid (Burt and Adelson,
    IEEE Trans Commun 31, 1983).
    """
    band = view.stains - smoothed(view.stains)
    for window_um in windows_um:
        pixels = view.shown(band, window_um)
        place = f"at {view.um:g} µm, {window_um:g} µm window"
        power = (pixels * pixels).mean(-1)
        for stain, name in enumerate(STAINS):
            yield f"{name} detail {place} (log OD²)", np.log(power[stain] + _FLOOR)
        shared = (pixels[0] * pixels[1]).mean(-1) / (np.sqrt(power[0] * power[1]) + _FLOOR)
        yield f"hematoxylin–eosin correlation of detail {place}", shared
        for stain in (0, 1):
            cubed = (pixels[stain] * pixels[stain] * pixels[stain]).mean(-1)
            yield f"{STAINS[stain]} skewness of detail {place}", cubed / (power[stain] + _FLOOR) ** 1.5


def direction(view: View, windows_um: Sequence[float]) -> Iterator[Named]:
    """Yield how much edges agree on a direction, near each pixel and over the window.

    Structure tensor of the sum of hematoxylin and eosin, averaged over 7 × 7 pixels; its coherence is
    the difference of the eigenvalues over their sum.
    """
    density = smoothed(view.stains[0] + view.stains[1])
    down = np.gradient(density, axis=-2)
    along = np.gradient(density, axis=-1)
    double = np.stack([down * down - along * along, 2 * down * along, down * down + along * along])
    near = ndimage.uniform_filter1d(double, 7, axis=-1, mode="nearest")
    near = ndimage.uniform_filter1d(near, 7, axis=-2, mode="nearest")
    length = np.sqrt(near[0] * near[0] + near[1] * near[1])
    for window_um in windows_um:
        place = f"at {view.um:g} µm, {window_um:g} µm window"
        whole = view.shown(double, window_um).mean(-1)
        local = view.shown(length, window_um).mean(-1)
        slope = whole[2] + _FLOOR
        yield f"edge strength {place} (log OD²)", np.log(slope)
        yield f"local coherence of edges {place}", local / slope
        yield f"overall coherence of edges {place}", np.hypot(whole[0], whole[1]) / slope


def patterns(view: View, window_um: float) -> Iterator[Named]:
    """Yield the shares of the local binary patterns of hematoxylin and of eosin.

    Rotation-invariant uniform patterns on the eight neighbours (Ojala et al., IEEE PAMI 24, 2002).
    """
    for stain in (0, 1):
        codes = view.shown(_pattern_codes(smoothed(view.stains[stain])), window_um)
        tiles, pixels = codes.shape
        offset = codes + _PATTERNS * np.arange(tiles)[:, None]
        counts = np.bincount(offset.ravel(), minlength=tiles * _PATTERNS).reshape(tiles, _PATTERNS)
        for code in range(_PATTERNS):
            kind = f"{code} of 8 darker" if code < 9 else "mixed"
            place = f"at {view.um:g} µm, {window_um:g} µm window"
            yield f"{STAINS[stain]} pattern {kind} {place}", counts[:, code] / pixels


def _pattern_codes(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Code of every inner pixel: 0-8 neighbours above it in one arc, 9 where in several arcs."""
    side = maps.shape[-1]
    ring = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    centre = maps[:, 1:-1, 1:-1]
    above = [
        (maps[:, row : side - 2 + row, column : side - 2 + column] > centre).view(np.uint8)
        for row, column in ring
    ]
    ones = above[0].copy()
    for bit in above[1:]:
        ones += bit
    changes = above[-1] ^ above[0]
    for previous, bit in pairwise(above):
        changes += previous ^ bit
    return np.where(changes <= 2, ones, np.uint8(9))
