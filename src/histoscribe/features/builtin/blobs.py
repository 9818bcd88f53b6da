"""Blobs: connected pixels of a mask, and what each of them measures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from histoscribe.features.builtin.compiled import compiled

MEASURES = 9
_TOUCHING = np.ones((3, 3), dtype=np.int64)


def measure_blobs(
    mask: NDArray[np.bool_],
    darkness: NDArray[np.float32],
    eosin: NDArray[np.float32],
    smallest: float,
    largest: float,
) -> NDArray[np.float64]:
    """Find the blobs of one mask (pixels touching by side or corner) and measure them.

    Parameters
    ----------
    mask : ndarray of bool, shape (rows, columns)
    darkness, eosin : ndarray of float32, the same shape
        Amounts of stain.
    smallest, largest : float
        Blobs with fewer or more pixels are left out.

    Returns
    -------
    ndarray of float64, shape (blobs, 9)
        Pixels; mean row and column; second central moments of row, column and both together, 1/12 (a
        pixel's own) in the first two; mean and variance of darkness; mean eosin. In the order of first
        pixels.
    """
    labels, count = label(mask, _TOUCHING)
    sums = _measure(labels, count, darkness, eosin)
    sizes = sums[:, 0]
    return sums[(sizes >= smallest) & (sizes <= largest)]


@compiled
def _measure(
    labels: NDArray[np.int32], count: int, darkness: NDArray[np.float32], eosin: NDArray[np.float32]
) -> NDArray[np.float64]:
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
