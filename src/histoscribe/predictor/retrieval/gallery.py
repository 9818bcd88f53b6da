"""Retrieval: the reference spots whose embeddings are closest, and the weighted mean of what they express."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SettingError

_BLOCK_BYTES = 16 * 1024**2
_QUERIES = 256


@dataclass(frozen=True, eq=False)
class Neighbours:
    """What was found for every query.

    Parameters
    ----------
    index : ndarray of int64, shape (queries, k)
        Reference spots, closest first; of equally close ones the lower number first.
    similarity : ndarray of float32, shape (queries, k)
        Cosine similarity of the embeddings.
    """

    index: NDArray[np.int64]
    similarity: NDArray[np.float32]

    def weights(self, temperature: float) -> NDArray[np.float32]:
        """Softmax of similarity / temperature over the k found, shape (queries, k)."""
        logits = (self.similarity - self.similarity.max(axis=1, keepdims=True)) / np.float32(temperature)
        weights = np.exp(logits)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)

    def nearest(self, k: int) -> Neighbours:
        """Only the k closest."""
        return Neighbours(self.index[:, :k], self.similarity[:, :k])


def retrieve(queries: NDArray[np.float32], keys: NDArray[np.float32], k: int) -> Neighbours:
    """Find the k keys of highest cosine similarity for every query, exactly, block by block.

    Neither all similarities nor a second copy of the keys are ever held: beside queries and result, a few
    blocks of at most 16 MiB. Once a query has k keys, only those above its worst are looked at again, so the
    search costs little more than the product of the two matrices. `keys` may be a memory map of halves.

    Parameters
    ----------
    queries : ndarray, shape (queries, d)
    keys : ndarray, shape (references, d)
    k : int
        At most the number of references are returned.

    Raises
    ------
    SettingError
        If k is not positive or there is no reference.
    """
    if k < 1 or len(keys) == 0:
        raise SettingError(
            f"cannot retrieve {k} of {len(keys)} reference spots", remedy="ask for at least one"
        )
    k = min(k, len(keys))
    unit = _normalised(queries)
    step = max(k, _BLOCK_BYTES // (4 * max(keys.shape[1], _QUERIES)))
    best = [_Best(len(unit[start : start + _QUERIES]), k) for start in range(0, len(unit), _QUERIES)]
    for start in range(0, len(keys), step):
        block = _normalised(keys[start : start + step]).T
        for number, found in enumerate(best):
            scores = unit[number * _QUERIES : (number + 1) * _QUERIES] @ block
            found.add(scores, start)
    parts = [found.sorted() for found in best]
    if not parts:
        return Neighbours(np.empty((0, k), dtype=np.int64), np.empty((0, k), dtype=np.float32))
    return Neighbours(np.concatenate([i for i, _ in parts]), np.concatenate([s for _, s in parts]))


class _Best:
    """The k highest scores of each query so far, and which keys they belong to.

    Parameters
    ----------
    queries, k : int
    """

    def __init__(self, queries: int, k: int) -> None:
        self.k, self.room = k, 4 * k + 64
        self.score = np.full((queries, self.room), -np.inf, dtype=np.float32)
        self.index = np.zeros((queries, self.room), dtype=np.int64)
        self.filled = np.zeros(queries, dtype=np.int64)
        self.worst = np.full(queries, -np.inf, dtype=np.float32)

    def add(self, scores: NDArray[np.float32], first: int) -> None:
        """Offer scores (queries, keys) of keys that are numbered from `first` on, later than all before."""
        if scores.shape[1] > self.k and (self.filled < self.k).any():
            chosen = _top(scores, self.k)
            self._append(np.repeat(np.arange(len(scores)), self.k), chosen.ravel(), scores, first)
        else:
            # Flat, for nonzero of two axes takes a quarter of the time of the product itself.
            rows, columns = np.divmod(np.flatnonzero(scores > self.worst[:, None]), scores.shape[1])
            self._append(rows, columns, scores, first)

    def _append(
        self, rows: NDArray[np.intp], columns: NDArray[np.intp], scores: NDArray[np.float32], first: int
    ) -> None:
        counts = np.bincount(rows, minlength=len(self.filled))
        if (self.filled + counts).max(initial=0) > self.room:
            self._shrink()
            kept = scores[rows, columns] > self.worst[rows]
            rows, columns = rows[kept], columns[kept]
            counts = np.bincount(rows, minlength=len(self.filled))
        longest = int((self.filled + counts).max(initial=0))
        if longest > self.room:
            self.score = np.pad(self.score, ((0, 0), (0, longest - self.room)), constant_values=-np.inf)
            self.index = np.pad(self.index, ((0, 0), (0, longest - self.room)))
            self.room = longest
        starts = np.repeat(np.cumsum(counts) - counts, counts)
        place = self.filled[rows] + np.arange(len(rows)) - starts
        self.score[rows, place] = scores[rows, columns]
        self.index[rows, place] = columns + first
        self.filled += counts
        if (self.filled >= self.k).all() and np.isneginf(self.worst).any():
            self._shrink()

    def _shrink(self) -> None:
        """Keep the k highest of each query."""
        index, score = self.sorted()
        kept = score.shape[1]
        self.score[:, :kept], self.index[:, :kept] = score, index
        self.score[:, kept:] = -np.inf
        self.filled = np.minimum(self.filled, kept)
        full = self.filled >= self.k
        self.worst[full] = score[full, -1]

    def sorted(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Keys and scores, each (queries, k), highest first; of equal scores the lower key first."""
        # Keys arrive in ascending order and ties are broken by place, so by key.
        width = int(self.filled.max(initial=0))
        place = _top(self.score[:, :width], min(self.k, width))
        return np.take_along_axis(self.index, place, 1), np.take_along_axis(self.score, place, 1)


def average(
    values: NDArray[np.float32], index: NDArray[np.int64], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Weighted means of reference rows: values (n, g), index and weights (queries, k) → (queries, g)."""
    from scipy.sparse import csr_array

    rows = np.repeat(np.arange(len(index)), index.shape[1])
    mixing = csr_array((weights.ravel(), (rows, index.ravel())), shape=(len(index), len(values)))
    return np.asarray(mixing @ values, dtype=np.float32)


def _top(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Columns of the k highest scores of each row, highest first, ties by column."""
    if k < scores.shape[1]:
        cut = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]
        # Ties at the cut must not depend on the partition: drop the latest columns among them.
        above, tied = scores > cut, scores == cut
        room = k - above.sum(axis=1, keepdims=True)
        chosen = above | (tied & (np.cumsum(tied, axis=1) <= room))
        columns = np.nonzero(chosen)[1].reshape(len(scores), k)
    else:
        columns = np.broadcast_to(np.arange(k), (len(scores), k))
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1).astype(np.int64)


def _normalised(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1; rows of zeros stay zero."""
    rows = np.asarray(rows, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)
