"""Nuclei: dark hematoxylin blobs, their number, size, shape, darkness and company."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from histoscribe.features.colour import Named
from histoscribe.features.views import View, box_mean

_CONTRAST = 0.02  # OD above the surroundings from which hematoxylin counts as nucleus
_AROUND_UM = 9.0  # side of the surroundings, averaged twice: narrow, so that touching nuclei part
_SMALLEST_UM2, _LARGEST_UM2 = 12.0, 400.0
_LONELY_UM = 60.0  # distance taken where a nucleus has no such neighbour
_NEIGHBOURS = 5
_FLAT = np.ones((3, 3, 3), dtype=bool)
_FLAT[[0, 2]] = False


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


def find_nuclei(view: View) -> Nuclei:
    """Find dark blobs: connected pixels with more hematoxylin than their surroundings and the crop's mean."""
    hematoxylin = view.smooth[0]
    size = round(_AROUND_UM / view.um) | 1
    around = box_mean(box_mean(hematoxylin, size), size)
    usual = np.maximum(hematoxylin, 0).mean(axis=(-2, -1), keepdims=True)
    dark = (hematoxylin - around > np.float32(_CONTRAST)) & (hematoxylin > usual)
    labels, found = ndimage.label(dark, structure=_FLAT)
    place = np.flatnonzero(labels)
    label = labels.ravel()[place]
    side = hematoxylin.shape[-1]
    tile, inside = np.divmod(place, side * side)
    row, column = np.divmod(inside, side)

    def total(values: NDArray[np.floating] | None = None) -> NDArray[np.float64]:
        return np.bincount(label, values, minlength=found + 1).astype(np.float64)

    count = total()
    keep = (count * view.um**2 >= _SMALLEST_UM2) & (count * view.um**2 <= _LARGEST_UM2)
    keep[0] = False
    count = np.maximum(count, 1)
    stain = view.stains[0].ravel()[place].astype(np.float64)
    darkness = total(stain) / count
    mean_row, mean_column = total(row) / count, total(column) / count
    row_rest, column_rest = row - mean_row[label], column - mean_column[label]
    # 1/12 is the second moment of one pixel.
    row_moment = total(row_rest * row_rest) / count + 1 / 12
    column_moment = total(column_rest * column_rest) / count + 1 / 12
    mixed = total(row_rest * column_rest) / count
    half = np.sqrt(((row_moment - column_moment) / 2) ** 2 + mixed**2)
    middle = (row_moment + column_moment) / 2
    axis = np.stack([(row_moment - column_moment) / 2, mixed], 1) / np.maximum(half, 1e-12)[:, None]
    centre = (np.stack([mean_row, mean_column], 1) - (side - 1) / 2) * view.um
    return Nuclei(
        tile=(total(tile) / count).round().astype(np.intp)[keep],
        centre_um=centre[keep],
        area_um2=(count * view.um**2)[keep],
        darkness=darkness[keep],
        contrast=np.sqrt(np.maximum(total(stain * stain) / count - darkness**2, 0))[keep],
        eosin=(total(view.stains[1].ravel()[place]) / count)[keep],
        elongation=(np.log((middle + half) / np.maximum(middle - half, 1 / 12)) / 2)[keep],
        axis=axis[keep],
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
    company = _company(nuclei)
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
        **company,
    }
    for name, values in measures.items():
        mean = share(values)
        yield f"nuclear {name}, {place}, mean", mean
        yield (
            f"nuclear {name}, {place}, sd",
            np.sqrt(np.maximum(share(values * values) - mean * mean, 0)),
        )


def _company(nuclei: Nuclei) -> dict[str, NDArray[np.float64]]:
    """Distance to the nearest and the fifth nearest nucleus (µm), and agreement of axes with them."""
    names = ("nearest neighbour (µm)", f"{_NEIGHBOURS}th neighbour (µm)", "agreement of axes")
    if not len(nuclei.tile):
        return {name: np.zeros(0) for name in names}
    # Crops lie on planes far apart, so that no nucleus has neighbours in another crop.
    points = np.column_stack([nuclei.tile * 1e4, nuclei.centre_um])
    distance, index = cKDTree(points).query(
        points, k=np.arange(2, _NEIGHBOURS + 2), distance_upper_bound=_LONELY_UM
    )
    known = np.isfinite(distance)
    cosine = (nuclei.axis[np.where(known, index, 0)] * nuclei.axis[:, None, :]).sum(-1)
    agreement = (cosine * known).sum(1) / np.maximum(known.sum(1), 1)
    distance = np.where(known, distance, _LONELY_UM)
    return dict(zip(names, (distance[:, 0], distance[:, -1], agreement), strict=True))
