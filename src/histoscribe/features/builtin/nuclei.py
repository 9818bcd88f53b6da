"""Nuclei: dark hematoxylin blobs, their number, size, shape, darkness and company."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from scipy.spatial import cKDTree

from histoscribe.arrays import Floats, Mask, Wide
from histoscribe.features.builtin.colour import Named
from histoscribe.features.builtin.compiled import compiled
from histoscribe.features.builtin.planes import box_mean
from histoscribe.features.builtin.stain_scales import StainScale

MEASURES = 9
_TOUCHING = np.ones((3, 3), dtype=np.int64)
_CONTRAST = 0.02  # OD above the surroundings from which hematoxylin counts as nucleus
_AROUND_UM = 9.0  # side of the surroundings, averaged twice: narrow, so that touching nuclei part
_SMALLEST_UM2, _LARGEST_UM2 = 12.0, 400.0
_LONELY_UM = 60.0  # distance taken where a nucleus has no such neighbour
_NEIGHBOURS = 5


@dataclass(frozen=True, eq=False)
class Nuclei:
    """Blobs of a batch, one entry each."""

    tile: NDArray[np.intp]
    """Which crop."""
    centre_um: Wide
    """(row, column) from the crop's centre, shape (blobs, 2)."""
    area_um2: Wide
    darkness: Wide
    contrast: Wide
    eosin: Wide
    """`area_um2`, `darkness`, `contrast` and `eosin`: size, mean hematoxylin, its sd inside, mean eosin."""
    elongation: Wide
    """Natural logarithm of the axis ratio of the ellipse with the same second moments, 0 if round."""
    axis: Wide
    """Cosine and sine of twice the orientation, shape (blobs, 2)."""

    @cached_property
    def company(self) -> dict[str, Wide]:
        """Distance to the nearest and the fifth nearest nucleus (µm), and agreement of axes with them."""
        names = ("nearest neighbour (µm)", f"{_NEIGHBOURS}th neighbour (µm)", "agreement of axes")
        if not len(self.tile):
            return {name: np.zeros(0) for name in names}
        # Crops lie on planes far apart, so that no nucleus has neighbours in another crop.
        points = np.column_stack([self.tile * 1e4, self.centre_um])
        ranks = np.arange(2, _NEIGHBOURS + 2)
        distance, index = cKDTree(points).query(points, k=ranks, distance_upper_bound=_LONELY_UM)
        known = np.isfinite(distance)
        cosine = (self.axis[np.where(known, index, 0)] * self.axis[:, None, :]).sum(-1)
        agreement = (cosine * known).sum(1) / np.maximum(known.sum(1), 1)
        distance = np.where(known, distance, _LONELY_UM)
        return dict(zip(names, (distance[:, 0], distance[:, -1], agreement), strict=True))


def find_nuclei(view: StainScale) -> Nuclei:
    """Find dark blobs: connected pixels with more hematoxylin than their surroundings and the crop's mean."""
    hematoxylin = view.statistics.hematoxylin
    size = round(_AROUND_UM / view.um) | 1
    around = box_mean(box_mean(hematoxylin, size), size)
    usual = np.maximum(hematoxylin, 0).mean(axis=(-2, -1), keepdims=True)
    dark = (hematoxylin - around > np.float32(_CONTRAST)) & (hematoxylin > usual)
    smallest, largest = (bound / view.um**2 for bound in (_SMALLEST_UM2, _LARGEST_UM2))
    crops = zip(dark, view.stains[0], view.stains[1], strict=True)
    found = [measure_blobs(*maps, smallest, largest) for maps in crops]
    tile = np.repeat(np.arange(len(found)), [len(rows) for rows in found])
    count, row, column, down, across, mixed, darkness, spread, eosin = np.concatenate(found).T
    half = np.sqrt(((down - across) / 2) ** 2 + mixed**2)
    middle = (down + across) / 2
    axis = np.stack([(down - across) / 2, mixed], 1) / np.maximum(half, 1e-12)[:, None]
    side = hematoxylin.shape[-1]
    return Nuclei(
        tile=tile,
        centre_um=(np.stack([row, column], 1) - (side - 1) / 2) * view.um,
        area_um2=count * view.um**2,
        darkness=darkness,
        contrast=np.sqrt(spread),
        eosin=eosin,
        elongation=np.log((middle + half) / np.maximum(middle - half, 1 / 12)) / 2,
        axis=axis,
    )


def describe_nuclei(nuclei: Nuclei, tiles: int, window_um: float) -> Iterator[Named]:
    """Yield density, size, shape, darkness and company of the nuclei centred in a window.

    `nuclei`: of the whole batch; `tiles`: number of crops in the batch; `window_um`: side of the central
    window in µm.
    """
    place = f"{window_um:g} µm window"
    inside = np.abs(nuclei.centre_um).max(axis=1, initial=0) <= window_um / 2
    tile = nuclei.tile[inside]
    count = np.bincount(tile, minlength=tiles)

    def share(values: NDArray[np.floating] | Mask) -> Wide:
        return np.bincount(tile, values[inside], minlength=tiles) / np.maximum(count, 1)

    small = (nuclei.area_um2 < 45) & (nuclei.elongation < 0.5)
    yield f"nuclei, {place} (log per mm²)", np.log1p(count / window_um**2 * 1e6)
    yield f"nuclear area fraction, {place}", share(nuclei.area_um2) * count / window_um**2
    yield f"small round nuclei, {place} (share)", share(small)
    yield f"large nuclei, {place} (share)", share(nuclei.area_um2 > 110)
    yield f"elongated nuclei, {place} (share)", share(nuclei.elongation > 0.8)
    measures = {
        "area (µm²)": nuclei.area_um2,
        "hematoxylin (OD)": nuclei.darkness,
        "inner contrast (OD)": nuclei.contrast,
        "eosin (OD)": nuclei.eosin,
        "elongation (log axis ratio)": nuclei.elongation,
        **nuclei.company,
    }
    for name, values in measures.items():
        mean = share(values)
        yield f"nuclear {name}, {place}, mean", mean
        yield (f"nuclear {name}, {place}, sd", np.sqrt(np.maximum(share(values * values) - mean * mean, 0)))


def measure_blobs(mask: Mask, darkness: Floats, eosin: Floats, smallest: float, largest: float) -> Wide:
    """Find the blobs of one mask (pixels touching by side or corner) and measure them.

    `mask` (rows, columns); `darkness` and `eosin`: amounts of stain; `smallest` and `largest`: blobs with
    fewer or more pixels are left out. Returns (blobs, 9): pixels; mean row and column; second central moments
    of row, column and both together, 1/12 (a pixel's own) in the first two; mean and variance of darkness;
    mean eosin. In the order of first pixels.
    """
    labels, count = label(mask, _TOUCHING)
    sums = _measure(labels, count, darkness, eosin)
    sizes = sums[:, 0]
    return sums[(sizes >= smallest) & (sizes <= largest)]


@compiled
def _measure(labels: NDArray[np.int32], count: int, darkness: Floats, eosin: Floats) -> Wide:
    out = np.zeros((count, MEASURES))
    rows, columns = labels.shape
    for row in range(rows):
        for column in range(columns):
            blob = labels[row, column] - 1
            if blob >= 0:
                stain = np.float64(darkness[row, column])
                out[blob, 0] += 1
                out[blob, 1] += row
                out[blob, 2] += column
                out[blob, 6] += stain
                out[blob, 7] += stain * stain
                out[blob, 8] += eosin[row, column]
    for blob in range(count):
        size = out[blob, 0]
        for measure in (1, 2, 6, 7, 8):
            out[blob, measure] /= size
        out[blob, 7] = max(out[blob, 7] - out[blob, 6] ** 2, 0.0)
    for row in range(rows):
        for column in range(columns):
            blob = labels[row, column] - 1
            if blob >= 0:
                down, along = row - out[blob, 1], column - out[blob, 2]
                out[blob, 3] += down * down
                out[blob, 4] += along * along
                out[blob, 5] += down * along
    for blob in range(count):
        size = out[blob, 0]
        out[blob, 3] = out[blob, 3] / size + 1 / 12
        out[blob, 4] = out[blob, 4] / size + 1 / 12
        out[blob, 5] /= size
    return out
