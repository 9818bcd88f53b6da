"""Linear algebra of the predictor: ridge regression that writes the main components of the expression.

It learns the scores of every spot on the main components of the training expression, so that genes share
their evidence and the noise of single genes stays out, and trusts spots with many counts more.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Wide
from histoscribe.rows import Held

_RIDGE = 1.0
_BLOCK = 65_536


def expression_components(expression: Held, weights: Wide, rank: int) -> tuple[Wide, Floats]:
    """Principal components of centred expression (spots, genes) in which every spot counts by its weight.

    Returns `scores` (spots, rank); `loadings` (rank, genes).
    """
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(expression), _BLOCK)]
    trusted = (expression[rows] * np.sqrt(weights[rows])[:, None] for rows in blocks)
    if len(blocks) == 1:
        axes = principal_axes(next(trusted), rank, centred=True)
    else:
        gram = np.zeros((expression.shape[1],) * 2)
        for values in trusted:
            gram += values.T @ values
        axes = axes_of(gram, rank)
    wide = axes.astype(np.float64)
    scores = np.concatenate([expression[rows].astype(np.float64) @ wide for rows in blocks])
    return scores, wide.T.astype(np.float32)


def weighted_ridge(inputs: Floats, scores: Wide, weights: Wide) -> Floats:
    """Ridge weights (d, rank): errors weighted by spot, the penalty counted per column of z-scored inputs.

    `inputs` (spots, d): z-scored, so that the penalty means the same for any number of columns; `scores`
    (spots, rank); `weights` (spots,): positive.
    """
    x = np.asarray(inputs, dtype=np.float64)
    count, width = x.shape
    if width > count:
        found = x.T @ np.linalg.solve(x @ x.T + _RIDGE * width * np.diag(1 / weights), scores)
        return np.asarray(found, dtype=np.float32)
    xw = x.T * weights
    return ridge_of(xw @ x, xw @ scores)


def ridge_of(gram: Wide, answers: Wide) -> Floats:
    """As `weighted_ridge`, from the weighted sums of products: `gram` (d, d) and `answers` (d, rank)."""
    width = len(gram)
    return np.asarray(np.linalg.solve(gram + _RIDGE * width * np.eye(width), answers), dtype=np.float32)


def principal_axes(values: NDArray[np.floating], count: int, *, centred: bool = False) -> Floats:
    """The first principal axes of rows, shape (columns, count or fewer), signs fixed.

    By the smaller of the two covariance matrices, so that time does not grow with the square of the spots.
    """
    wide = np.asarray(values, dtype=np.float64)
    if not centred:
        wide = wide - wide.mean(axis=0)
    if wide.shape[1] <= wide.shape[0]:
        return axes_of(wide.T @ wide, count)
    scores = np.linalg.eigh(wide @ wide.T)[1][:, ::-1][:, : min(count, len(wide))]
    axes = wide.T @ scores
    return _signed(axes / np.maximum(np.linalg.norm(axes, axis=0), 1e-12))


def axes_of(gram: Wide, count: int) -> Floats:
    """As `principal_axes`, from the sums of products of the centred columns, shape (columns, columns)."""
    return _signed(np.linalg.eigh(gram)[1][:, ::-1][:, :count])


def _signed(axes: Wide) -> Floats:
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    return (axes * np.where(largest < 0, -1.0, 1.0)).astype(np.float32)


def pooled(parts: Iterable[NDArray[np.floating]]) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column over the rows of all parts, each of shape (columns,)."""
    count, mean, squares = 0, np.zeros(1), np.zeros(1)
    for part in parts:
        wide = np.asarray(part, dtype=np.float64)
        own, share = wide.mean(axis=0), len(wide) / (count + len(wide))
        squares = squares + wide.var(axis=0) * len(wide) + (own - mean) ** 2 * count * share
        mean, count = mean + share * (own - mean), count + len(wide)
    return mean.astype(np.float32), np.sqrt(squares / count).astype(np.float32)


def centred(values: Floats) -> Wide:
    """Values less the mean of their column."""
    return np.asarray(values - values.mean(axis=0, dtype=np.float64), dtype=np.float64)


def cosine(a: Wide, b: Wide) -> Wide:
    """Of matching columns, shape (columns,); 0 where either is nothing but zeros."""
    scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.asarray((a * b).sum(axis=0) / np.where(scale > 1e-12, scale, np.inf))
