"""Linear algebra of the predictor: ridge regression that writes the main components of the expression.

It learns the scores of every spot on the main components of the training expression, so that genes share
their evidence and the noise of single genes stays out, and trusts spots with many counts more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_RIDGE = 1.0


def expression_components(
    expression: NDArray[np.float32], weights: NDArray[np.float64], rank: int
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Principal components of centred expression (spots, genes) in which every spot counts by its weight.

    Returns `scores` (spots, rank); `loadings` (rank, genes).
    """
    values = np.asarray(expression, dtype=np.float64)
    axes = principal_axes(values * np.sqrt(weights)[:, None], rank, centred=True).astype(np.float64)
    return values @ axes, axes.T.astype(np.float32)


def weighted_ridge(
    inputs: NDArray[np.float32], scores: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Ridge weights (d, rank): errors weighted by spot, the penalty counted per column of z-scored inputs.

    `inputs` (spots, d): z-scored, so that the penalty means the same for any number of columns; `scores`
    (spots, rank); `weights` (spots,): positive.
    """
    x = np.asarray(inputs, dtype=np.float64)
    count, width = x.shape
    strength = _RIDGE * width
    if width > count:
        found = x.T @ np.linalg.solve(x @ x.T + strength * np.diag(1 / weights), scores)
    else:
        xw = x.T * weights
        found = np.linalg.solve(xw @ x + strength * np.eye(width), xw @ scores)
    return np.asarray(found, dtype=np.float32)


def principal_axes(values: NDArray[np.floating], count: int, *, centred: bool = False) -> NDArray[np.float32]:
    """The first principal axes of rows, shape (columns, count or fewer), signs fixed.

    By the smaller of the two covariance matrices, so that time does not grow with the square of the spots.
    """
    wide = np.asarray(values, dtype=np.float64)
    if not centred:
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


def centred(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Values less the mean of their column."""
    return np.asarray(values - values.mean(axis=0, dtype=np.float64), dtype=np.float64)


def cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of matching columns, shape (columns,); 0 where either is nothing but zeros."""
    scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.asarray((a * b).sum(axis=0) / np.where(scale > 1e-12, scale, np.inf))
