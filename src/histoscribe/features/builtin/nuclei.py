"""Nuclei: dark hematoxylin blobs, their number, size, shape, darkness and company."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from histoscribe.features.builtin.blobs import measure_blobs
from histoscribe.features.builtin.colour import Named
from histoscribe.features.builtin.planes import box_mean
from histoscribe.features.builtin.stain_scales import StainScale

_CONTRAST = 0.02  # OD above the surroundings from which hematoxylin counts as nucleus
_AROUND_UM = 9.0  # side of the surroundings, averaged twice: narrow, so that touching nuclei part
_SMALLEST_UM2, _LARGEST_UM2 = 12.0, 400.0
_LONELY_UM = 60.0  # distance taken where a nucleus has no such neighbour
_NEIGHBOURS = 5


@dataclass(frozen=True, eq=False)
class Nuclei:
    """Blobs of a batch, one entry each.

    Parameters
    ----------
    tile : ndarray of int
        Which crop.
    centre_um : ndarray, shape (blobs, 2)
        (row, column) from the crop's centre.
    area_um2, darkness, contrast, eosin : ndarray
        Size, mean hematoxylin, its sd inside, mean eosin.
    elongation : ndarray
        Natural logarithm of the axis ratio of the ellipse with the same second moments, 0 if round.
    axis : ndarray, shape (blobs, 2)
        Cosine and sine of twice the orientation.
    """

    tile: NDArray[np.intp]
    centre_um: NDArray[np.float64]
    area_um2: NDArray[np.float64]
    darkness: NDArray[np.float64]
    contrast: NDArray[np.float64]
    eosin: NDArray[np.float64]
    elongation: NDArray[np.float64]
    axis: NDArray[np.float64]

    @cached_property
    def company(self) -> dict[str, NDArray[np.float64]]:
        """Distance to the nearest and the fifth nearest nucleus (µm), and agreement of axes with them."""
        names = ("nearest neighbour (µm)", f"{_NEIGHBOURS}th neighbour (µm)", "agreement of axes")
        if not len(self.tile):
            return {name: np.zeros(0) for name in names}
        # Crops lie on planes far apart, so that no nucleus has neighbours in another crop.
        points = np.column_stack([self.tile * 1e4, self.centre_um])
        distance, index = cKDTree(points).query(
            points, k=np.arange(2, _NEIGHBOURS + 2), distance_upper_bound=_LONELY_UM
        )
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
    found = [
        measure_blobs(*maps, smallest, largest)
        for maps in zip(dark, view.stains[0], view.stains[1], strict=True)
    ]
    tile = np.repeat(np.arange(len(found)), [len(rows) for rows in found])
    count, mean_row, mean_column, row_moment, column_moment, mixed, darkness, spread, eosin = np.concatenate(
        found
    ).T
    half = np.sqrt(((row_moment - column_moment) / 2) ** 2 + mixed**2)
    middle = (row_moment + column_moment) / 2
    axis = np.stack([(row_moment - column_moment) / 2, mixed], 1) / np.maximum(half, 1e-12)[:, None]
    side = hematoxylin.shape[-1]
    return Nuclei(
        tile=tile,
        centre_um=(np.stack([mean_row, mean_column], 1) - (side - 1) / 2) * view.um,
        area_um2=count * view.um**2,
        darkness=darkness,
        contrast=np.sqrt(spread),
        eosin=eosin,
        elongation=np.log((middle + half) / np.maximum(middle - half, 1 / 12)) / 2,
        axis=axis,
    )


def describe_nuclei(nuclei: Nuclei, tiles: int, window_um: float) -> Iterator[Named]:
    """Yield density, size, shape, darkness and company of the nuclei centred in a window.

    Parameters
    ----------
    nuclei : Nuclei
        Of the whole batch.
    tiles : int
        Number of crops in the batch.
    window_um : float
        Side of the central window in µm.
    """
    place = f"{window_um:g} µm window"
    inside = np.abs(nuclei.centre_um).max(axis=1, initial=0) <= window_um / 2
    tile = nuclei.tile[inside]
    count = np.bincount(tile, minlength=tiles)

    def share(values: NDArray[np.floating] | NDArray[np.bool_]) -> NDArray[np.float64]:
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
        yield (
            f"nuclear {name}, {place}, sd",
            np.sqrt(np.maximum(share(values * values) - mean * mean, 0)),
        )
