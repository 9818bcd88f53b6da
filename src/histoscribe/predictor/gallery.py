"""Retrieval: the reference spots whose embeddings are closest, and the weighted mean of what they express."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SettingError

_BLOCK_BYTES = 64 * 1024**2


@dataclass(frozen=True, eq=False)
class Retrieved:
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

    def nearest(self, k: int) -> Retrieved:
        """Only the k closest."""
        return Retrieved(self.index[:, :k], self.similarity[:, :k])


def retrieve(queries: NDArray[np.float32], keys: NDArray[np.float32], k: int) -> Retrieved:
    """Find the k keys of highest cosine similarity for every query, block by block.

    Memory is bounded whatever the number of queries: one block of similarities takes at most 64 MiB (or
    one row).

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
    keys = _normalised(keys)
    index = np.empty((len(queries), k), dtype=np.int64)
    similarity = np.empty((len(queries), k), dtype=np.float32)
    step = max(1, _BLOCK_BYTES // (4 * len(keys)))
    for start in range(0, len(queries), step):
        block = slice(start, start + step)
        scores = _normalised(queries[block]) @ keys.T
        found = _top(scores, k)
        index[block] = found
        similarity[block] = np.take_along_axis(scores, found, axis=1)
    return Retrieved(index, similarity)


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
    rows = np.asarray(rows, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)
