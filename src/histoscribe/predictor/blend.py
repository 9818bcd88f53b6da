"""The blend: how much of retrieval, regression and ridge makes the prediction, chosen on inner folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from histoscribe.predictor.gallery import Retrieved, average

_NEIGHBOURS = (20, 50, 100, 200)
_TEMPERATURES = (0.05, 0.2, 1.0)
_STEPS = 5
_AS_GOOD = 0.003


@dataclass(frozen=True)
class Blend:
    """Shares of the three answers, and how retrieval averages.

    Parameters
    ----------
    retrieval, regression, linear : float
        Shares, not negative.
    neighbours : int
        How many reference spots are averaged.
    temperature : float
        Of the softmax over their similarities.
    """

    retrieval: float = 0.4
    regression: float = 0.3
    linear: float = 0.3
    neighbours: int = 50
    temperature: float = 0.2


@dataclass(frozen=True, eq=False)
class Answers:
    """What the parts of a fitted predictor say of some tiles, in standardised expression.

    Parameters
    ----------
    regression, linear : ndarray of float32, shape (tiles, genes)
        Of the guided experts (mean over members) and of the ridge.
    retrieved : list of Retrieved
        One per member.
    values : ndarray of float32, shape (references, genes)
        What the reference spots express.
    """

    regression: NDArray[np.float32]
    linear: NDArray[np.float32]
    retrieved: list[Retrieved]
    values: NDArray[np.float32]

    def retrieval(self, neighbours: int, temperature: float) -> NDArray[np.float32]:
        """Mean over members of the weighted means of the closest reference spots."""
        total = np.zeros_like(self.regression)
        for found in self.retrieved:
            near = found.nearest(neighbours)
            total += average(self.values, near.index, near.weights(temperature))
        return total / np.float32(len(self.retrieved))

    def evidence(self, blend: Blend, count: int = 8) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The reference spots that weigh most in retrieval, and their shares: both (tiles, ≤ count)."""
        near = [found.nearest(blend.neighbours) for found in self.retrieved]
        index = np.concatenate([found.index for found in near], axis=1)
        weights = np.concatenate([found.weights(blend.temperature) for found in near], axis=1) / len(near)
        # Bring equal references of a row together, and give their summed weight to the last of each run.
        order = np.argsort(index, axis=1, kind="stable")
        index, weights = np.take_along_axis(index, order, 1), np.take_along_axis(weights, order, 1)
        running = np.cumsum(weights, axis=1, dtype=np.float64)
        last = np.ones(index.shape, dtype=bool)
        last[:, :-1] = index[:, 1:] != index[:, :-1]
        before = np.maximum.accumulate(np.where(last, running, 0.0), axis=1)
        summed = np.where(last, running - np.pad(before, ((0, 0), (1, 0)))[:, :-1], -1.0)
        distinct = min(count, int(last.sum(axis=1).min()))
        top = np.argsort(-summed, axis=1, kind="stable")[:, :distinct]
        return (
            np.take_along_axis(index, top, 1),
            np.take_along_axis(summed, top, 1).astype(np.float32),
        )

    def blended(self, blend: Blend) -> NDArray[np.float32]:
        """The prediction in standardised expression, shape (tiles, genes)."""
        found = self.retrieval(blend.neighbours, blend.temperature)
        mixed = blend.retrieval * found + blend.regression * self.regression + blend.linear * self.linear
        return np.asarray(mixed, dtype=np.float32)


def choose_blend(folds: Sequence[tuple[Answers, NDArray[np.float32]]]) -> Blend:
    """The blend whose mean per-gene Pearson r, averaged over held-out folds, is highest.

    Retrieval is chosen first, by itself; then the shares, on a grid of fifths. The optimum is flat and the
    folds are few, so the shares that come within 0.003 of the best are averaged.

    Parameters
    ----------
    folds : sequence of (Answers, ndarray)
        What was answered on each held-out fold, and the measured expression (tiles, genes).
    """

    def score(predictions: Sequence[NDArray[np.float32]]) -> float:
        return float(
            np.mean(
                [
                    np.mean(gene_correlation(predicted, truth))
                    for predicted, (_, truth) in zip(predictions, folds, strict=True)
                ]
            )
        )

    found = {
        (k, temperature): [answers.retrieval(k, temperature) for answers, _ in folds]
        for k, temperature in product(_NEIGHBOURS, _TEMPERATURES)
    }
    neighbours, temperature = max(found, key=lambda key: score(found[key]))
    retrieval = found[neighbours, temperature]
    reached = {}
    for i, j in product(range(_STEPS + 1), repeat=2):
        if i + j > _STEPS:
            continue
        shares = (i / _STEPS, j / _STEPS, (_STEPS - i - j) / _STEPS)
        mixed = [
            shares[0] * near + shares[1] * answers.regression + shares[2] * answers.linear
            for near, (answers, _) in zip(retrieval, folds, strict=True)
        ]
        reached[shares] = score(mixed)
    highest = max(reached.values())
    good = np.mean([shares for shares, r in reached.items() if r >= highest - _AS_GOOD], axis=0)
    retrieval_share, regression, linear = (round(float(share), 3) for share in good)
    return Blend(retrieval_share, regression, linear, neighbours, temperature)


def gene_correlation(predicted: NDArray[np.float32], truth: NDArray[np.float32]) -> NDArray[np.float64]:
    """Pearson r of every gene over the rows, shape (genes,); 0 where either side does not vary."""
    a = predicted - predicted.mean(axis=0, dtype=np.float64)
    b = truth - truth.mean(axis=0, dtype=np.float64)
    scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.asarray((a * b).sum(axis=0) / np.where(scale > 1e-12, scale, np.inf), dtype=np.float64)
