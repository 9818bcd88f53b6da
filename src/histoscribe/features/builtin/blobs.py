"""Blobs: connected pixels of a mask, and what each of them measures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from histoscribe.features.builtin.compiled import compiled

MEASURES = 9


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
    labels, count = _label(mask)
    sums = _measure(labels, count, darkness, eosin)
    sizes = sums[:, 0]
    return sums[(sizes >= smallest) & (sizes <= largest)]


@compiled
def _label(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Number the blobs from 0 on, background -1: first by runs that are joined, then in order."""
    rows, columns = mask.shape
    labels = np.full((rows, columns), -1, dtype=np.int32)
    parent = np.empty(rows * (columns // 2 + 1), dtype=np.int32)
    made = 0
    for row in range(rows):
        for column in range(columns):
            if not mask[row, column]:
                continue
            own = labels[row, column - 1] if column > 0 else -1
            if row > 0:
                for other in range(max(column - 1, 0), min(column + 2, columns)):
                    above = labels[row - 1, other]
                    if above >= 0 and above != own:
                        root = above
                        while parent[root] != root:
                            root = parent[root]
                        if own < 0:
                            own = root
                        else:
                            mine = own
                            while parent[mine] != mine:
                                mine = parent[mine]
                            parent[max(root, mine)] = min(root, mine)
                            own = min(root, mine)
            if own < 0:
                own = made
                parent[made] = made
                made += 1
            labels[row, column] = own
    number = np.empty(made, dtype=np.int32)
    count = 0
    for label in range(made):
        # A parent is never newer than its child, so its number is known.
        if parent[label] == label:
            number[label] = count
            count += 1
        else:
            number[label] = number[parent[label]]
    for row in range(rows):
        for column in range(columns):
            if labels[row, column] >= 0:
                labels[row, column] = number[labels[row, column]]
    return labels, count


@compiled
def _measure(
    labels: NDArray[np.int32], count: int, darkness: NDArray[np.float32], eosin: NDArray[np.float32]
) -> NDArray[np.float64]:
    out = np.zeros((count, MEASURES))
    rows, columns = labels.shape
    for row in range(rows):
        for column in range(columns):
            label = labels[row, column]
            if label >= 0:
                stain = np.float64(darkness[row, column])
                out[label, 0] += 1
                out[label, 1] += row
                out[label, 2] += column
                out[label, 6] += stain
                out[label, 7] += stain * stain
                out[label, 8] += eosin[row, column]
    for label in range(count):
        size = out[label, 0]
        for measure in (1, 2, 6, 7, 8):
            out[label, measure] /= size
        out[label, 7] = max(out[label, 7] - out[label, 6] ** 2, 0.0)
    for row in range(rows):
        for column in range(columns):
            label = labels[row, column]
            if label >= 0:
                down, along = row - out[label, 1], column - out[label, 2]
                out[label, 3] += down * down
                out[label, 4] += along * along
                out[label, 5] += down * along
    for label in range(count):
        size = out[label, 0]
        out[label, 3] = out[label, 3] / size + 1 / 12
        out[label, 4] = out[label, 4] / size + 1 / 12
        out[label, 5] /= size
    return out
