"""The one place where (x, y) and (row, column) meet."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def flip(points: ArrayLike) -> NDArray[np.float64]:
    """Turn (x, y) into (row, column), or back: shape (points, 2), any unit."""
    return np.asarray(points, dtype=np.float64)[:, ::-1].copy()
