"""The spatial graph: spots within a radius that is counted in spot pitches, and means of features over it."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from histoscribe.arrays import Floats, Numbers, Wide
from histoscribe.errors import SettingError

_MANY = 64
_CELLS_PER_RADIUS = 16.0
_CHUNK = 2048
_SLACK = 1e-6  # so that neighbours at exactly the radius do not depend on rounding


def spatial_graph(
    centres: ArrayLike, pitch: float, *, radius: float = 1.5, self_edges: bool = True
) -> Numbers:
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

    points = _checked(centres, pitch, radius)
    reach = radius * pitch * (1 + _SLACK)
    pairs = cKDTree(points).query_pairs(reach, output_type="ndarray").astype(np.int64)
    own = np.arange(len(points), dtype=np.int64) if self_edges else np.empty(0, dtype=np.int64)
    source = np.concatenate([pairs[:, 0], pairs[:, 1], own])
    target = np.concatenate([pairs[:, 1], pairs[:, 0], own])
    order = np.lexsort((source, target))
    return np.stack([source[order], target[order]])


def context_means(
    features: ArrayLike, centres: ArrayLike, pitch: float, radii: Sequence[float] = (1.5, 3.0)
) -> Floats:
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
    if not len(radii) or not len(values):
        return np.empty((len(values), values.shape[1] * len(radii)), dtype=np.float32)
    blocks = []
    for radius in radii:
        around = Surroundings(centres, pitch, radius)
        sums = around.gathered([values], values.shape[1])
        blocks.append(around.means(sums, slice(None)))
    return np.concatenate(blocks, axis=1)


class Surroundings:
    """What lies within a radius of each spot; means over it are told by runs of rows, see `context_means`.

    Cells that the circle cuts count in part: a cell that counted wholly or not at all would draw its circle
    into the result wherever it comes into reach, for means over wide circles differ so little from tile to
    tile that one cell shows.

    `centres` (spots, 2) and `pitch` in one unit, `radius` in pitches.
    """

    def __init__(self, centres: ArrayLike, pitch: float, radius: float) -> None:
        from scipy.sparse import csr_array
        from scipy.spatial import cKDTree

        self._points = points = _checked(centres, pitch, radius)
        self._tree, self._reach, self._side = cKDTree(points), radius * pitch, 0.0
        some = points[:: max(1, len(points) // 256)]
        within = self._tree.query_ball_point(some, self._reach, return_length=True)
        if np.mean(within) <= max(_MANY, 4 * np.pi * radius**2):
            return
        self._side = self._reach / _CELLS_PER_RADIUS
        cell = np.floor(points / self._side).astype(np.int64)
        self._cell = np.unique(cell, axis=0, return_inverse=True)[1].reshape(-1)
        ones = np.ones(len(points), dtype=np.float32)
        gather = csr_array((ones, (self._cell, np.arange(len(points)))))
        self._count = np.asarray(gather.sum(axis=1), dtype=np.float64).reshape(-1)
        self._tree = cKDTree((gather @ points) / self._count[:, None])

    def gathered(self, runs: Iterable[Floats], width: int) -> Floats:
        """What `means` needs of all values, which come as runs of rows in their order: (cells, width)."""
        from scipy.sparse import csr_array

        sums, start = np.zeros((self._tree.n, width), dtype=np.float32), 0
        for values in runs:
            stop = start + len(values)
            if self._side:  # added to what is there one after the other, however many come at a time
                there, member = np.unique(self._cell[start:stop], return_inverse=True)
                rows = np.concatenate([np.arange(len(there)), member])
                adding = csr_array((np.ones(len(rows), np.float32), (rows, np.arange(len(rows)))))
                sums[there] = adding @ np.concatenate([sums[there], values])
            else:
                sums[start:stop] = values
            start = stop
        return sums

    def means(self, sums: Floats, rows: slice) -> Floats:
        """Means around some spots, shape (rows, width); `rows` start at a multiple of 2,048 of them."""
        points = self._points[rows]
        runs = range(0, len(points), _CHUNK)
        return np.concatenate([self._means(sums, points[run : run + _CHUNK]) for run in runs])

    def _means(self, sums: Floats, points: Wide) -> Floats:
        from scipy.sparse import csr_array
        from scipy.spatial import cKDTree

        reach = self._reach + self._side / 2 if self._side else self._reach * (1 + _SLACK)
        near = cKDTree(points).sparse_distance_matrix(self._tree, reach, output_type="coo_matrix")
        if self._side:
            share = np.clip((self._reach - near.data) / self._side + 0.5, 0, 1).astype(np.float32)
            within = csr_array((share, (near.row, near.col)), shape=near.shape)
            return np.asarray((within @ sums) / (within @ self._count)[:, None], dtype=np.float32)
        degree = np.bincount(near.row, minlength=len(points)).astype(np.float32)
        within = csr_array((1.0 / degree[near.row], (near.row, near.col)), shape=near.shape)
        within.sort_indices()
        return np.asarray(within @ sums, dtype=np.float32)


def _checked(centres: ArrayLike, pitch: float, radius: float) -> Wide:
    """Centres as numbers; raises `SettingError` if a length is not positive or a centre not finite."""
    points = np.asarray(centres, dtype=np.float64).reshape(-1, 2)
    if not (np.isfinite(pitch) and pitch > 0 and np.isfinite(radius) and radius > 0):
        remedy = "state the pitch in µm"
        raise SettingError(f"pitch {pitch} and radius {radius} must both be positive", remedy=remedy)
    if not np.isfinite(points).all():
        raise SettingError("some spots have no finite position", remedy="drop them first")
    return points
