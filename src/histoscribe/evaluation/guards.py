"""What every statistic asks first: which genes vary, whether there are enough spots, whose threads run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from histoscribe.arrays import Mask, Wide
from histoscribe.errors import SectionError

FEWEST = 3
"""Spots that a class or a comparison needs."""
FEWEST_IN_SPACE = 4
"""Spots that a statistic of their places needs."""
FARTHEST_UM = 500.0
"""Beyond which two spots, or cells, of a tissue are no neighbours."""


def finite_places(centres: ArrayLike) -> Wide:
    """Places of spots, shape (spots, 2); raises `SectionError` if one is no number."""
    places = np.asarray(centres, dtype=np.float64).reshape(-1, 2)
    if not np.isfinite(places).all():
        raise SectionError("some spots have no finite position", remedy="leave them out first")
    return places


def varying(values: Any) -> Mask:
    """Which genes have a number in every spot and not the same in all.

    `values` (spots, genes): dense or sparse. Returns (genes,).
    """
    if not values.shape[0]:
        return np.zeros(values.shape[1], dtype=np.bool_)
    ends = [getattr(values, end)(axis=0) for end in ("min", "max")]
    low, high = (np.ravel(end.toarray() if hasattr(end, "toarray") else end) for end in ends)
    return np.asarray(np.isfinite(low) & np.isfinite(high) & (low < high))


def moments(values: Any) -> tuple[Wide, Wide]:
    """Mean and variance of each gene, 0 where it does not vary.

    `values` (spots, genes): dense or sparse. Returns each (genes,).
    """
    square = values.multiply(values) if hasattr(values, "multiply") else np.square(values)
    share = np.full(values.shape[0], 1 / max(values.shape[0], 1))
    with np.errstate(invalid="ignore"):
        mean, of_square = (np.ravel(share @ one) for one in (values, square))
        return mean, np.where(varying(values), np.maximum(of_square - mean**2, 0), 0.0)


@contextmanager
def another_library() -> Iterator[None]:
    """Let another library compute: what is undefined is ours to say, PyTorch's threads are set back.

    Numba's first parallel loop gives OpenMP, and PyTorch with it, as many threads as there are cores. Its
    loops take one, so that sums have the same digits however many are free.
    """
    import numba
    import torch

    threads, of_numba = torch.get_num_threads(), numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        numba.set_num_threads(of_numba)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
