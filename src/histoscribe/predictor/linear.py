"""The closed-form expert: ridge regression from the image input to the expression's main components."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PENALTY = 3.0


def reduced_rank_ridge(
    inputs: NDArray[np.float32], targets: NDArray[np.float32], rank: int, penalty: float = PENALTY
) -> NDArray[np.float32]:
    """Weights (d, g) that minimise ``|inputs·W - targets|² + penalty·d·|W|²``, writing `rank` components.

    What is written is confined to the main components of the targets: genes share their evidence, and
    the noise of single genes stays out.

    Parameters
    ----------
    inputs : ndarray, shape (n, d)
        Z-scored, so that `penalty` means the same for any number of columns.
    targets : ndarray, shape (n, g)
        Centred.
    rank : int
    penalty : float
    """
    axes = principal_axes(targets, rank).astype(np.float64)
    x, y = np.asarray(inputs, dtype=np.float64), targets @ axes
    count, width = x.shape
    strength = penalty * width
    if width > count:
        weights = x.T @ np.linalg.solve(x @ x.T + strength * np.eye(count), y)
    else:
        weights = np.linalg.solve(x.T @ x + strength * np.eye(width), x.T @ y)
    return np.asarray(weights @ axes.T, dtype=np.float32)


def principal_axes(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The first principal axes of centred rows, shape (columns, count or fewer), signs fixed.

    By the smaller of the two covariance matrices, so that time does not grow with the square of the spots.
    """
    wide = np.asarray(values, dtype=np.float64)
    wide = wide - wide.mean(axis=0)
    count = min(count, *wide.shape)
    if wide.shape[1] <= wide.shape[0]:
        axes = np.linalg.eigh(wide.T @ wide)[1][:, ::-1][:, :count]
    else:
        scores = np.linalg.eigh(wide @ wide.T)[1][:, ::-1][:, :count]
        axes = wide.T @ scores
        axes /= np.maximum(np.linalg.norm(axes, axis=0), 1e-12)
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    return (axes * np.where(largest < 0, -1.0, 1.0)).astype(np.float32)
