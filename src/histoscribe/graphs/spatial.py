"""The spatial graph: spots within a radius that is counted in spot pitches, and means of features over it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histoscribe.errors import SettingError

_MANY = 64
_CELLS_PER_RADIUS = 16.0
_CHUNK = 2048


def spatial_graph(
    centres: ArrayLike, pitch: float, *, radius: float = 1.5, self_edges: bool = True
) -> NDArray[np.int64]:
    """Join the spots that lie within `radius` pitches of each other.

    Parameters
    ----------
    centres : array_like, shape (spots, 2)
        Spot centres in any unit, usually µm.
    pitch : float
        Distance of neighbouring spots in the same unit.
    radius : float
        Reach in pitches; 1.5 joins a square lattice to its 8 neighbours.
    self_edges : bool
        Whether every spot is also joined to itself.

    Returns
    -------
    ndarray of int64, shape (2, edges)
        Sources and targets, both directions of every edge, sorted by target, then source.

    Raises
    ------
    SettingError
        If the pitch or the radius is not positive, or a centre is not finite.
    """
    from scipy.spatial import cKDTree

    points = np.asarray(centres, dtype=np.float64).reshape(-1, 2)
    if not (np.isfinite(pitch) and pitch > 0 and np.isfinite(radius) and radius > 0):
        raise SettingError(
            f"pitch {pitch} and radius {radius} must both be positive", remedy="state the pitch in µm"
        )
    if not np.isfinite(points).all():
        raise SettingError("some spots have no finite position", remedy="drop them first")
    # A hair of slack, so that neighbours at exactly the radius do not depend on rounding.
    reach = radius * pitch * (1 + 1e-6)
    pairs = cKDTree(points).query_pairs(reach, output_type="ndarray").astype(np.int64)
    own = np.arange(len(points), dtype=np.int64) if self_edges else np.empty(0, dtype=np.int64)
    source = np.concatenate([pairs[:, 0], pairs[:, 1], own])
    target = np.concatenate([pairs[:, 1], pairs[:, 0], own])
    order = np.lexsort((source, target))
    return np.stack([source[order], target[order]])


def context_means(
    features: ArrayLike, centres: ArrayLike, pitch: float, radii: Sequence[float] = (1.5, 3.0)
) -> NDArray[np.float32]:
    """Average features within each radius, the spot itself included.

    Where spots lie much denser than `pitch` (a dense grid predicted by a model of a coarser array) they are
    first gathered in square cells of a sixteenth of the radius, so that time and memory stay proportional
    to the number of spots.

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
    points = np.asarray(centres, dtype=np.float64).reshape(-1, 2)
    if not len(radii) or not len(values):
        return np.empty((len(values), values.shape[1] * len(radii)), dtype=np.float32)
    from scipy.spatial import cKDTree

    blocks = []
    tree, some = cKDTree(points), points[:: max(1, len(points) // 256)]
    for radius in radii:
        within = tree.query_ball_point(some, radius * pitch, return_length=True)
        dense = np.mean(within) > max(_MANY, 4 * np.pi * radius**2)
        mean = _mean_of_cells if dense else _mean_of_spots
        blocks.append(mean(values, points, pitch, radius))
    return np.concatenate(blocks, axis=1)


def _mean_of_spots(
    values: NDArray[np.float32], points: NDArray[np.float64], pitch: float, radius: float
) -> NDArray[np.float32]:
    from scipy.sparse import csr_array

    source, target = spatial_graph(points, pitch, radius=radius)
    degree = np.bincount(target, minlength=len(points)).astype(np.float32)
    mixing = csr_array((1.0 / degree[target], (target, source)), shape=(len(points), len(points)))
    return np.asarray(mixing @ values, dtype=np.float32)


def _mean_of_cells(
    values: NDArray[np.float32], points: NDArray[np.float64], pitch: float, radius: float
) -> NDArray[np.float32]:
    """Means over cells, of which those that the circle cuts count in part.

    A cell that counted wholly or not at all would draw its circle into the result wherever it comes into
    reach: means over wide circles differ so little from tile to tile that one cell shows.
    """
    from scipy.sparse import csr_array
    from scipy.spatial import cKDTree

    reach = radius * pitch
    side = reach / _CELLS_PER_RADIUS
    cell = np.floor(points / side).astype(np.int64)
    member = np.unique(cell, axis=0, return_inverse=True)[1].reshape(-1)
    gather = csr_array((np.ones(len(points), dtype=np.float32), (member, np.arange(len(points)))))
    count = np.asarray(gather.sum(axis=1), dtype=np.float64).reshape(-1)
    middle = cKDTree((gather @ points) / count[:, None])
    sums = gather @ values
    means = np.empty_like(values)
    for start in range(0, len(points), _CHUNK):
        rows = slice(start, start + _CHUNK)
        near = cKDTree(points[rows]).sparse_distance_matrix(
            middle, reach + side / 2, output_type="coo_matrix"
        )
        share = np.clip((reach - near.data) / side + 0.5, 0, 1).astype(np.float32)
        within = csr_array((share, (near.row, near.col)), shape=near.shape)
        means[rows] = (within @ sums) / (within @ count)[:, None]
    return means
