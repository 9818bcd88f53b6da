"""The spatial graph: spots within a radius that is counted in spot pitches."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histoscribe.errors import SettingError


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
