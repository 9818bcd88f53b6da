"""Texture: how stain varies from pixel to pixel at one scale, without regard to direction of the slide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from histoscribe.features.colour import Named
from histoscribe.features.stains import STAINS
from histoscribe.features.views import View, halved, smoothed

_FLOOR = np.float32(1e-6)  # variance in OD² far below that of any stained tissue
_EVEN = np.float32(1e-4)  # difference in OD that does not count, so that rounding makes no patterns
_PATTERNS = 10
_COARSER = 3  # octaves over which modulation is followed


def detail(view: View, windows_um: Sequence[float]) -> Iterator[Named]:
    """Yield the energy of a difference-of-Gaussians band, its asymmetry, and how stains share it.

    The band is the map less its smoothing by σ = 1 pixel, as in a Laplacian pyramid (Burt and Adelson,
    IEEE Trans Commun 31, 1983).
    """
    band = view.stains - view.smooth
    for window_um in windows_um:
        pixels = view.shown(band, window_um)
        place = f"at {view.um:g} µm, {window_um:g} µm window"
        power = (pixels * pixels).mean(-1)
        for stain, name in enumerate(STAINS):
            yield f"{name} detail {place} (log OD²)", np.log(power[stain] + _FLOOR)
        shared = (pixels[0] * pixels[1]).mean(-1) / (np.sqrt(power[0] * power[1]) + _FLOOR)
        yield f"hematoxylin–eosin correlation of detail {place}", shared
        for stain in (0, 1):
            lean = np.cbrt((pixels[stain] * pixels[stain] * pixels[stain]).mean(-1))
            yield f"{STAINS[stain]} asymmetry of detail {place}", lean / np.sqrt(power[stain] + _FLOOR)


def direction(view: View, windows_um: Sequence[float]) -> Iterator[Named]:
    """Yield how much edges agree on a direction, near each pixel and over the window.

    Structure tensor of the sum of hematoxylin and eosin, smoothed by σ = 2 pixels; its coherence is the
    difference of the eigenvalues over their sum.
    """
    density = view.smooth[0] + view.smooth[1]
    down = np.gradient(density, axis=-2)
    along = np.gradient(density, axis=-1)
    double = np.stack([down * down - along * along, 2 * down * along, down * down + along * along])
    near = smoothed(halved(double[:2]))
    coarse = View(2 * view.um, np.sqrt(near[0] * near[0] + near[1] * near[1]))
    for window_um in windows_um:
        place = f"at {view.um:g} µm, {window_um:g} µm window"
        whole = view.shown(double, window_um).mean(-1)
        local = coarse.shown(coarse.stains, window_um).mean(-1)
        slope = whole[2] + _FLOOR
        yield f"edge strength {place} (log OD²)", np.log(slope)
        yield f"local coherence of edges {place}", local / slope
        yield f"overall coherence of edges {place}", np.hypot(whole[0], whole[1]) / slope


def modulation(view: View, window_um: float) -> Iterator[Named]:
    """Yield how sparse the detail of a scale is, and at which coarser scales it comes and goes.

    The size of the band of `detail` is treated as a map of its own, and its bands at coarser scales are
    measured relative to its energy: second-order scattering (Bruna and Mallat, IEEE PAMI 35, 2013).
    """
    size = np.abs(view.stains[:2] - view.smooth[:2])
    pixels = view.shown(size, window_um)
    root = np.sqrt((pixels * pixels).mean(-1)) + np.float32(1e-4)
    mean = pixels.mean(-1) / root
    for stain, name in enumerate(STAINS[:2]):
        yield f"{name} evenness of detail at {view.um:g} µm, {window_um:g} µm window", mean[stain]
    coarse = View(2 * view.um, halved(size))
    for _ in range(_COARSER):
        if coarse.stains.shape[-1] < 8:
            return
        band = coarse.shown(coarse.stains - coarse.smooth, window_um)
        change = np.log((band * band).mean(-1) / (root * root) + np.float32(1e-4))
        for stain, name in enumerate(STAINS[:2]):
            place = f"at {view.um:g} µm over {coarse.um:g} µm, {window_um:g} µm window"
            yield f"{name} modulation of detail {place} (log)", change[stain]
        coarse = View(2 * coarse.um, halved(coarse.stains))


def patterns(view: View, window_um: float) -> Iterator[Named]:
    """Yield the shares of the local binary patterns of hematoxylin.

    Rotation-invariant uniform patterns on the eight neighbours (Ojala et al., IEEE PAMI 24, 2002).
    """
    codes = view.shown(_pattern_codes(view.smooth[0]), window_um)
    tiles, pixels = codes.shape
    offset = codes + _PATTERNS * np.arange(tiles)[:, None]
    counts = np.bincount(offset.ravel(), minlength=tiles * _PATTERNS).reshape(tiles, _PATTERNS)
    for code in range(_PATTERNS):
        kind = f"{code} of 8 neighbours darker" if code < 9 else "mixed neighbours"
        yield f"pattern of {kind} at {view.um:g} µm, {window_um:g} µm window", counts[:, code] / pixels


def _pattern_codes(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Code of every inner pixel: 0-8 neighbours above it in one arc, 9 where in several arcs."""
    side = maps.shape[-1]
    ring = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    centre = maps[:, 1:-1, 1:-1] + _EVEN
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
