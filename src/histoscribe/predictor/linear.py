"""The closed-form experts: ridge regression and a kernel machine that write the expression's main components.

Both learn the scores of every spot on the main components of the training expression, so that genes share
their evidence and the noise of single genes stays out, and both trust spots with many counts more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RIDGE = 1.0
_KERNEL = 0.5
_REACH = 2.0
_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Components:
    """The main components of standardised expression.

    Parameters
    ----------
    scores : ndarray of float64, shape (spots, rank)
        Of the training spots.
    loadings : ndarray of float32, shape (rank, genes)
    """

    scores: NDArray[np.float64]
    loadings: NDArray[np.float32]


def expression_components(
    expression: NDArray[np.float32], weights: NDArray[np.float64], rank: int
) -> Components:
    """Principal components of centred expression (spots, genes) in which every spot counts by its weight."""
    values = np.asarray(expression, dtype=np.float64)
    axes = principal_axes(values * np.sqrt(weights)[:, None], rank, centred=True).astype(np.float64)
    return Components(values @ axes, axes.T.astype(np.float32))


def weighted_ridge(
    inputs: NDArray[np.float32], scores: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Ridge weights (d, rank): errors weighted by spot, the penalty counted per column of z-scored inputs.

    Parameters
    ----------
    inputs : ndarray, shape (spots, d)
        Z-scored, so that the penalty means the same for any number of columns.
    scores : ndarray, shape (spots, rank)
    weights : ndarray, shape (spots,)
        Positive.
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


@dataclass(frozen=True, eq=False)
class KernelExpert:
    """Radial basis functions around training spots.

    Parameters
    ----------
    landmarks : ndarray of float32, shape (landmarks, components)
        Reduced image inputs of training spots.
    coefficients : ndarray of float32, shape (landmarks, rank)
    scale : float
        Squared distance at which likeness falls to 1/e.
    """

    landmarks: NDArray[np.float32]
    coefficients: NDArray[np.float32]
    scale: float

    def __call__(self, reduced: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reduced inputs (tiles, components) → scores (tiles, rank)."""
        return np.asarray(likeness(reduced, self.landmarks, self.scale) @ self.coefficients, dtype=np.float32)


def fit_kernel(
    reduced: NDArray[np.float32],
    scores: NDArray[np.float64],
    weights: NDArray[np.float64],
    landmarks: int,
    seed: int,
) -> KernelExpert:
    """Kernel ridge regression; beyond `landmarks` spots a random choice of them spans the functions.

    Memory and time grow linearly with the spots (the subset-of-regressors form of a Gaussian process).

    Parameters
    ----------
    reduced : ndarray of float32, shape (spots, components)
    scores : ndarray, shape (spots, rank)
    weights : ndarray, shape (spots,)
    landmarks : int
    seed : int
        Of the random choice.
    """
    count = len(reduced)
    few = count <= landmarks
    rows = np.arange(count) if few else np.sort(np.random.default_rng(seed).permutation(count)[:landmarks])
    chosen = np.ascontiguousarray(reduced[rows], dtype=np.float32)
    between = squared_distances(chosen, chosen)
    scale = _REACH * float(np.median(between)) or 1.0
    among = np.exp(-between.astype(np.float64) / scale)
    if few:
        found = np.linalg.solve(among + _KERNEL * np.diag(1 / weights), scores)
    else:
        gram, right = _KERNEL * among, np.zeros((len(rows), scores.shape[1]))
        for start in range(0, count, _BLOCK):
            block = slice(start, start + _BLOCK)
            basis = likeness(reduced[block], chosen, scale).astype(np.float64)
            weighted = basis * weights[block, None]
            gram += basis.T @ weighted
            right += weighted.T @ scores[block]
        gram[np.diag_indices_from(gram)] += 1e-6 * np.trace(gram) / len(gram)
        found = np.linalg.solve(gram, right)
    return KernelExpert(chosen, found.astype(np.float32), scale)


def likeness(rows: NDArray[np.float32], landmarks: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """exp(-squared distance / scale), shape (rows, landmarks)."""
    return np.asarray(np.exp(-squared_distances(rows, landmarks) / np.float32(scale)), dtype=np.float32)


def squared_distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Between the rows of a and of b, never negative, shape (a, b)."""
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * (a @ b.T)
    return np.asarray(np.maximum(squared, 0), dtype=np.float32)


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
