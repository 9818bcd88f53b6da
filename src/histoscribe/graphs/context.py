"""Image context: what is seen around a spot, as means of features over its neighbourhood."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histoscribe.graphs.spatial import spatial_graph

_MAX_NEIGHBOURS = 48


def context_means(
    features: ArrayLike, centres: ArrayLike, pitch: float, radii: Sequence[float] = (1.5, 3.0)
) -> NDArray[np.float32]:
    """Average features within each radius, the spot itself included.

    Neighbourhoods are thinned where spots lie much denser than `pitch` (a dense grid predicted by a
    model of a coarser array): of one neighbourhood every k-th spot is averaged, so that time and
    memory stay proportional to the number of spots.

    Parameters
    ----------
    features : array_like, shape (spots, d)
    centres : array_like, shape (spots, 2)
        In the unit of `pitch`.
    pitch : float
        Length in which the radii are counted.
    radii : sequence of float
        Reaches in pitches.

    Returns
    -------
    ndarray of float32, shape (spots, d × radii)
        One block of d columns per radius, in the order of `radii`.
    """
    values = np.asarray(features, dtype=np.float32)
    blocks = [_mean_within(values, centres, pitch, radius) for radius in radii]
    return np.concatenate(blocks, axis=1) if blocks else np.empty((len(values), 0), dtype=np.float32)


def _mean_within(
    values: NDArray[np.float32], centres: ArrayLike, pitch: float, radius: float
) -> NDArray[np.float32]:
    from scipy.sparse import csr_array

    source, target = _bounded_neighbours(np.asarray(centres, dtype=np.float64), pitch, radius)
    count = len(values)
    degree = np.bincount(target, minlength=count).astype(np.float32)
    weights = 1.0 / degree[target]
    means = csr_array((weights, (target, source)), shape=(count, count)) @ values
    return np.asarray(means, dtype=np.float32)


def _bounded_neighbours(
    points: NDArray[np.float64], pitch: float, radius: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sources and targets of the spatial graph; dense places are joined to a thinned set of spots."""
    from scipy.spatial import cKDTree

    expected = np.pi * radius**2
    reach = radius * pitch * (1 + 1e-6)
    probe = points[:: max(1, len(points) // 256)]
    if len(points) == 0:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    density = float(np.mean(cKDTree(points).query_ball_point(probe, reach, return_length=True)))
    step = int(density // max(_MAX_NEIGHBOURS, 2 * expected))
    if step <= 1:
        edges = spatial_graph(points, pitch, radius=radius)
        return edges[0], edges[1]
    kept = np.random.default_rng(0).permutation(len(points))[:: step + 1]
    near = cKDTree(points).sparse_distance_matrix(cKDTree(points[kept]), reach, output_type="coo_matrix")
    own = np.arange(len(points), dtype=np.int64)
    target = np.concatenate([near.row.astype(np.int64), own])
    source = np.concatenate([kept[near.col].astype(np.int64), own])
    edges = np.unique(np.stack([target, source]), axis=1)
    return edges[1], edges[0]
