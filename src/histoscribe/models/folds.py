"""Folds: patients held out in turn, none of them ever split."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Numbers


def deal_folds(owners: Sequence[str], count: int, seed: int, strata: NDArray[Any] | None = None) -> Numbers:
    """The fold of each sample, 0 to `count` - 1, shape (samples,): all of one owner in the same.

    `strata` (samples,): each is shared out evenly; an owner is of the stratum of the first of its samples.
    """
    names, first, which = np.unique(np.asarray(owners, dtype=str), return_index=True, return_inverse=True)
    random, fold = np.random.default_rng(seed), np.empty(len(names), dtype=np.int64)
    if strata is None:
        fold[:] = random.permutation(len(names)) % count
    else:
        fold[np.lexsort((random.random(len(names)), strata[first]))] = np.arange(len(names)) % count
    return fold[which]
