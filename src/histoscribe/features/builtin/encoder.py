"""The built-in encoder: colour, texture, structure and nuclei at several scales in µm, no download."""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from histoscribe.arrays import Floats, Numbers, Pixels
from histoscribe.features.builtin.colour import Named, colour, gaps
from histoscribe.features.builtin.compiled import compiled
from histoscribe.features.builtin.nuclei import describe_nuclei, find_nuclei
from histoscribe.features.builtin.planes import band_power, halved
from histoscribe.features.builtin.stain_scales import WINDOWS_UM, Maps, StainScale, margin, stain_scales
from histoscribe.features.builtin.stains import STAINS
from histoscribe.features.encoder import check_crops

_BATCH = 4  # crops described at once: few, so that their maps stay in memory that is at hand
_FLOOR = np.float32(1e-6)  # variance in OD² far below that of any stained tissue
_EVEN = np.float32(1e-4)  # difference in OD that does not count, so that rounding makes no patterns
_PATTERNS = 10
_COARSER = 3  # octaves over which modulation is followed


class BuiltinEncoder:
    """Hand-made descriptors of a crop of 512 µm at 1 µm per pixel.

    A crop's descriptors do not depend on the other crops of the batch, to the bit, and change by
    rounding only when the crop is turned by a right angle or mirrored. Stains are separated with fixed
    vectors: whoever compares slides standardises per slide.
    """

    name = "builtin-1"
    crop_um = 512.0
    mpp = 1.0

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """What each number is, with its scale and unit, in order."""
        side = round(self.crop_um / self.mpp)
        blank = np.full((1, side, side, 3), 255, dtype=np.uint8)
        return tuple(name for name, _ in _describe(blank, self.mpp))

    @property
    def dimension(self) -> int:
        """Length of one descriptor."""
        return len(self.feature_names)

    def encode(self, crops: Pixels) -> Floats:
        """Describe crops.

        Parameters
        ----------
        crops : ndarray of uint8, shape (n, 512, 512, 3)
            RGB at 1 µm per pixel.

        Returns
        -------
        ndarray of float32, shape (n, dimension)
            Finite; columns as in `feature_names`.

        Raises
        ------
        SettingError
            If the crops have another shape or dtype.
        """
        side = round(self.crop_um / self.mpp)
        check_crops(crops, side, self.name)
        out = np.empty((len(crops), self.dimension), dtype=np.float32)
        for start in range(0, len(crops), _BATCH):
            stop = start + _BATCH
            out[start:stop] = np.stack([values for _, values in _describe(crops[start:stop], self.mpp)], 1)
        return out


def _describe(crops: Pixels, mpp: float) -> Iterator[Named]:
    """Yield every descriptor with its name."""
    views = stain_scales(crops, mpp, levels=6, core_um=256)
    one, two, four, eight, sixteen, coarsest = views
    yield from colour(two, 64)
    yield from colour(two, 128)
    yield from colour(four, 256)
    yield from colour(four, 512)
    yield from gaps(eight, 256)
    yield from gaps(sixteen, 512)
    yield from detail(one, (128, 256))
    for view in (two, four, eight):
        yield from detail(view, (128, 256, 512))
    yield from detail(sixteen, (256, 512))
    yield from detail(coarsest, (512,))
    yield from direction(one, (64, 128, 256))
    for view in (two, four):
        yield from direction(view, (64, 128, 256, 512))
    for view in (eight, sixteen):
        yield from direction(view, (256, 512))
    yield from direction(coarsest, (512,))
    yield from modulation(one, 256)
    for view in (two, four, eight, sixteen):
        yield from modulation(view, 512)
    yield from patterns(two, 256)
    nuclei = find_nuclei(one)
    yield from describe_nuclei(nuclei, len(crops), 128)
    yield from describe_nuclei(nuclei, len(crops), 256)


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
def _count_patterns(maps: Maps, margin: int, even: np.float32, counts: Numbers) -> None:
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
