"""Retrieval: the reference spots whose embeddings are closest, and the weighted mean of what they express."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from histoscribe.arrays import Floats, Numbers
from histoscribe.errors import SettingError

_BLOCK_BYTES = 16 * 1024**2
_QUERIES = 256
_ROWS = 16


@dataclass(frozen=True, eq=False)
class Neighbours:
    """What was found for every query."""

    index: Numbers
    """Reference spots, closest first; of equally close ones the lower number first. Shape (queries, k)."""
    similarity: Floats
    """Cosine similarity of the embeddings, shape (queries, k)."""

    def weights(self, temperature: float) -> Floats:
        """Softmax of similarity / temperature over the k found, shape (queries, k)."""
        logits = (self.similarity - self.similarity.max(axis=1, keepdims=True)) / np.float32(temperature)
        weights = np.exp(logits)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)

    def nearest(self, k: int) -> Neighbours:
        """Only the k closest."""
        return Neighbours(self.index[:, :k], self.similarity[:, :k])


def retrieve(queries: Floats, keys: Floats, k: int) -> Neighbours:
    """Find the k keys of highest cosine similarity for every query, exactly, block by block.

    Neither all similarities nor a second copy of the keys are ever held: beside queries and result, a few
    blocks of at most 16 MiB. Once queries have k keys, only keys above the worst of one are looked at again.
    `keys` may be a memory map of halves.

    `queries` (queries, d); `keys` (references, d); `k`: at most the number of references are returned. Raises
    `SettingError` if k is not positive or there is no reference.
    """
    if k < 1 or len(keys) == 0:
        remedy = "ask for at least one"
        raise SettingError(f"cannot retrieve {k} of {len(keys)} reference spots", remedy=remedy)
    k = min(k, len(keys))
    unit = _normalised(queries)
    step = max(k, _BLOCK_BYTES // (4 * max(keys.shape[1], _QUERIES)))
    score = np.full((len(unit), k), -np.inf, dtype=np.float32)
    index = np.zeros((len(unit), k), dtype=np.int64)
    for first in range(0, len(keys), step):
        block = _normalised(keys[first : first + step]).T
        for start in range(0, len(unit), _QUERIES):
            offered = unit[start : start + _QUERIES] @ block
            for row in range(0, len(offered), _ROWS):
                part = offered[row : row + _ROWS]
                rows = slice(start + row, start + row + len(part))
                columns = np.flatnonzero((part > score[rows, -1:]).any(axis=0))
                whose = np.broadcast_to(first + columns, (len(part), len(columns)))
                # Earlier keys stand first, so that they win where two are equally close.
                joined = np.concatenate([score[rows], part[:, columns]], axis=1)
                numbers = np.concatenate([index[rows], whose], axis=1)
                top = _top(joined, k)
                score[rows] = np.take_along_axis(joined, top, 1)
                index[rows] = np.take_along_axis(numbers, top, 1)
    return Neighbours(index, score)


def average(values: Floats, index: Numbers, weights: Floats) -> Floats:
    """Weighted means of reference rows: values (n, g), index and weights (queries, k) → (queries, g)."""
    from scipy.sparse import csr_array

    rows = np.repeat(np.arange(len(index)), index.shape[1])
    mixing = csr_array((weights.ravel(), (rows, index.ravel())), shape=(len(index), len(values)))
    return np.asarray(mixing @ values, dtype=np.float32)


def _top(scores: Floats, k: int) -> Numbers:
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


def _normalised(rows: Floats) -> Floats:
    """Rows of length 1; rows of zeros stay zero."""
    rows = np.asarray(rows, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)
