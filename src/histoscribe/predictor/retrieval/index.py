"""An index of very many reference spots: approximate retrieval that looks at a few cells only.

An inverted file: keys are gathered in cells around centres found by spherical k-means (Sivic and Zisserman
2003; Jégou et al. 2011 without the compression), and a query looks at the keys of its nearest cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SettingError
from histoscribe.predictor.retrieval.gallery import Retrieved, normalised

_SAMPLE_PER_CELL = 40
_ROUNDS = 8
_BLOCK = 16_384
_SCORE_BYTES = 64 * 1024**2


@dataclass(frozen=True, eq=False)
class Index:
    """Keys in the order of their cells.

    Parameters
    ----------
    centres : ndarray of float32, shape (cells, d)
        Of length 1.
    starts : ndarray of int64, shape (cells + 1,)
        Where each cell begins.
    keys : ndarray of float32, shape (references, d)
        Of length 1, cell by cell.
    numbers : ndarray of int64, shape (references,)
        Which reference each of them is.
    """

    centres: NDArray[np.float32]
    starts: NDArray[np.int64]
    keys: NDArray[np.float32]
    numbers: NDArray[np.int64]

    def search(self, queries: NDArray[np.float32], k: int, *, probes: int = 16) -> Retrieved:
        """The k nearest keys among those of the `probes` nearest cells.

        Where these hold fewer than k keys, the nearest found is repeated with a similarity of -1, which takes
        all weight from it. Queries are taken in blocks whose scores fill at most 64 MiB.

        How many cells are enough depends on the keys: where they lie around kinds, as tissue does, a few;
        where they fill all directions evenly, no few cells hold the nearest: ask `retrieve` then.

        Parameters
        ----------
        queries : ndarray, shape (queries, d)
        k, probes : int

        Raises
        ------
        SettingError
            If either is not positive.
        """
        if k < 1 or probes < 1:
            raise SettingError(f"cannot look for {k} keys in {probes} cells", remedy="ask for at least one")
        unit = normalised(queries)
        k, probes = min(k, len(self.keys)), min(probes, len(self.centres))
        near = np.sort(np.argpartition(-(unit @ self.centres.T), probes - 1, axis=1)[:, :probes], axis=1)
        widest = int(np.diff(self.starts)[near].sum(axis=1).max(initial=k))
        rows = max(1, _SCORE_BYTES // (4 * widest))
        parts = [
            self._among(unit[start : start + rows], near[start : start + rows], k)
            for start in range(0, max(len(unit), 1), rows)
        ]
        return Retrieved(
            np.concatenate([part.index for part in parts]),
            np.concatenate([part.similarity for part in parts]),
        )

    def _among(self, unit: NDArray[np.float32], near: NDArray[np.intp], k: int) -> Retrieved:
        """The k nearest keys of the cells `near`, in ascending order for each query."""
        ends = np.cumsum(self.starts[near + 1] - self.starts[near], axis=1)
        # A query's scores lie cell after cell; behind them nothing is found.
        firsts = np.pad(ends, ((0, 0), (1, 0)))[:, :-1]
        scores = np.full((len(unit), max(int(ends.max(initial=0)), k)), -1.0, dtype=np.float32)
        order = np.argsort(near, axis=None, kind="stable")
        cells, asking, columns = near.ravel()[order], order // near.shape[1], firsts.ravel()[order]
        for first, last in pairwise(np.flatnonzero(np.diff(cells, prepend=-1, append=-1))):
            start, stop = self.starts[cells[first]], self.starts[cells[first] + 1]
            who = asking[first:last]
            found = unit[who] @ self.keys[start:stop].T
            for query, column, own in zip(who, columns[first:last], found, strict=True):
                scores[query, column : column + stop - start] = own
        top = np.argpartition(scores, scores.shape[1] - k, axis=1)[:, -k:]
        found = np.take_along_axis(scores, top, 1)
        order = np.argsort(-found, axis=1, kind="stable")
        top, found = np.take_along_axis(top, order, 1), np.take_along_axis(found, order, 1)
        top = np.where(top < ends[:, -1:], top, top[:, :1])
        which = (top[:, :, None] >= ends[:, None]).sum(axis=2)
        place = top + np.take_along_axis(self.starts[near] - firsts, which, 1)
        return Retrieved(self.numbers[place], found)


def build_index(keys: NDArray[np.float32], *, cells: int | None = None, seed: int = 0) -> Index:
    """Gather keys in cells; memory is that of the keys and of one copy.

    Parameters
    ----------
    keys : ndarray, shape (references, d)
    cells : int, optional
        Twice the square root of the references by default.
    seed : int
        Of the first centres and of the sample that they are learned on.

    Raises
    ------
    SettingError
        If there is no key.
    """
    count = len(keys)
    if count == 0:
        raise SettingError("there is no reference spot to index", remedy="give at least one")
    cells = min(count, cells or max(1, int(2 * np.sqrt(count))))
    rng = np.random.default_rng(seed)
    sample = normalised(keys[np.sort(rng.permutation(count)[: _SAMPLE_PER_CELL * cells])])
    centres = sample[np.sort(rng.permutation(len(sample))[:cells])].copy()
    for _ in range(_ROUNDS):
        own = _nearest(sample, centres)
        members = np.bincount(own, minlength=cells)
        order = np.argsort(own, kind="stable")
        bounds = np.concatenate([[0], np.cumsum(members)[:-1]])
        filled = members > 0
        sums = np.add.reduceat(sample[order], bounds[filled], axis=0)
        centres[filled] = sums
        # An empty cell starts anew at a random key.
        centres[~filled] = sample[rng.integers(0, len(sample), int((~filled).sum()))]
        centres = normalised(centres)
    own = np.concatenate(
        [_nearest(normalised(keys[start : start + _BLOCK]), centres) for start in range(0, count, _BLOCK)]
    )
    numbers = np.argsort(own, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(own, minlength=cells))]).astype(np.int64)
    ordered = np.empty((count, keys.shape[1]), dtype=np.float32)
    for start in range(0, count, _BLOCK):
        ordered[start : start + _BLOCK] = normalised(keys[numbers[start : start + _BLOCK]])
    return Index(centres, starts, ordered, numbers.astype(np.int64))


def _nearest(rows: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    parts = [
        (rows[start : start + _BLOCK] @ centres.T).argmax(axis=1) for start in range(0, len(rows), _BLOCK)
    ]
    return np.concatenate(parts).astype(np.int64)
