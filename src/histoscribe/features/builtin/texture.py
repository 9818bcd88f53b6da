"""Texture: how stain varies from pixel to pixel at one scale, without regard to direction of the slide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from histoscribe.features.builtin.colour import Named
from histoscribe.features.builtin.compiled import compiled
from histoscribe.features.builtin.planes import band_power, halved
from histoscribe.features.builtin.stain_scales import WINDOWS_UM, Maps, StainScale, margin
from histoscribe.features.builtin.stains import STAINS

_FLOOR = np.float32(1e-6)  # variance in OD² far below that of any stained tissue
_EVEN = np.float32(1e-4)  # difference in OD that does not count, so that rounding makes no patterns
_PATTERNS = 10
_COARSER = 3  # octaves over which modulation is followed


def detail(view: StainScale, windows_um: Sequence[float]) -> Iterator[Named]:
    """Yield the energy of a difference-of-Gaussians band, its asymmetry, and how stains share it.

    The band is the map less its smoothing by σ = 1 pixel, as in a Laplacian pyramid (Burt and Adelson,
    IEEE Trans Commun 31, 1983).
    """
    for window_um in windows_um:
        place = f"at {view.um:g} µm, {window_um:g} µm window"
        window = WINDOWS_UM.index(window_um)
        power, cube = view.statistics.power[window], view.statistics.cube[window]
        for stain, name in enumerate(STAINS):
            yield f"{name} detail {place} (log OD²)", np.log(power[stain] + _FLOOR)
        shared = view.statistics.product[window] / (np.sqrt(power[0] * power[1]) + _FLOOR)
        yield f"hematoxylin–eosin correlation of detail {place}", shared
        for stain in (0, 1):
            lean = np.cbrt(cube[stain]) / np.sqrt(power[stain] + _FLOOR)
            yield f"{STAINS[stain]} asymmetry of detail {place}", lean


def direction(view: StainScale, windows_um: Sequence[float]) -> Iterator[Named]:
    """Yield how much edges agree on a direction, near each pixel and over the window.

    Structure tensor of the sum of hematoxylin and eosin, smoothed by σ = 2 pixels; its coherence is the
    difference of the eigenvalues over their sum.
    """
    for window_um in windows_um:
        place = f"at {view.um:g} µm, {window_um:g} µm window"
        window = WINDOWS_UM.index(window_um)
        whole = view.statistics.tensor[window]
        slope = whole[2] + _FLOOR
        yield f"edge strength {place} (log OD²)", np.log(slope)
        yield f"local coherence of edges {place}", view.statistics.near[window] / slope
        yield f"overall coherence of edges {place}", np.hypot(whole[0], whole[1]) / slope


def modulation(view: StainScale, window_um: float) -> Iterator[Named]:
    """Yield how sparse the detail of a scale is, and at which coarser scales it comes and goes.

    The size of the band of `detail` is treated as a map of its own, and its bands at coarser scales are
    measured relative to its energy: second-order scattering (Bruna and Mallat, IEEE PAMI 35, 2013).
    """
    window = WINDOWS_UM.index(window_um)
    root = np.sqrt(view.statistics.power[window, :2]) + np.float32(1e-4)
    for stain, name in enumerate(STAINS[:2]):
        even = view.statistics.size[window, stain] / root[stain]
        yield f"{name} evenness of detail at {view.um:g} µm, {window_um:g} µm window", even
    um, sizes = 2 * view.um, view.statistics.sizes
    for _ in range(_COARSER):
        if sizes.shape[-1] < 8:
            return
        band = band_power(sizes, margin(sizes, um, window_um))
        change = np.log(band / (root * root) + np.float32(1e-4))
        for stain, name in enumerate(STAINS[:2]):
            place = f"at {view.um:g} µm over {um:g} µm, {window_um:g} µm window"
            yield f"{name} modulation of detail {place} (log)", change[stain]
        um, sizes = 2 * um, halved(sizes)


def patterns(view: StainScale, window_um: float) -> Iterator[Named]:
    """Yield the shares of the local binary patterns of hematoxylin.

    Rotation-invariant uniform patterns on the eight neighbours (Ojala et al., IEEE PAMI 24, 2002): 0-8
    neighbours above the pixel in one arc, 9 where in several arcs.
    """
    maps = view.statistics.hematoxylin
    counts = np.zeros((len(maps), _PATTERNS), dtype=np.int64)
    inner = maps[:, 1:-1, 1:-1]  # the outermost pixels lack neighbours
    _count_patterns(maps, margin(inner, view.um, window_um), _EVEN, counts)
    shares = counts / counts.sum(axis=1, keepdims=True)
    for code in range(_PATTERNS):
        kind = f"{code} of 8 neighbours darker" if code < 9 else "mixed neighbours"
        yield f"pattern of {kind} at {view.um:g} µm, {window_um:g} µm window", shares[:, code]


@compiled
def _count_patterns(maps: Maps, margin: int, even: np.float32, counts: NDArray[np.int64]) -> None:
    kind = np.empty(256, dtype=np.int64)
    for bits in range(256):
        ones, changes = 0, 0
        for place in range(8):
            bit = (bits >> place) & 1
            ones += bit
            changes += bit ^ ((bits >> ((place + 1) % 8)) & 1)
        kind[bits] = ones if changes <= 2 else 9
    stop = maps.shape[1] - 1 - margin
    for number in range(len(maps)):
        for row in range(1 + margin, stop):
            above, line, below = maps[number, row - 1], maps[number, row], maps[number, row + 1]
            for column in range(1 + margin, stop):
                centre = line[column] + even
                bits = int(above[column - 1] > centre)
                bits |= int(above[column] > centre) << 1
                bits |= int(above[column + 1] > centre) << 2
                bits |= int(line[column + 1] > centre) << 3
                bits |= int(below[column + 1] > centre) << 4
                bits |= int(below[column] > centre) << 5
                bits |= int(below[column - 1] > centre) << 6
                bits |= int(line[column - 1] > centre) << 7
                counts[number, kind[bits]] += 1
