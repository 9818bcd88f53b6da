"""Intervals that hold: conformal bounds around each prediction, from what was held out in training.

Split conformal prediction (Vovk et al. 2005; Lei et al. 2018) with the residuals of inner validation, for
each gene and each third of the predicted values by itself, because the spread of counts grows with their
mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.9
BINS = 3


@dataclass(frozen=True, eq=False)
class Intervals:
    """Bounds around predictions of log expression.

    Parameters
    ----------
    edges : ndarray of float32, shape (bins - 1, genes)
        Predicted values that part the bins of a gene.
    low, high : ndarray of float32, shape (bins, genes)
        What is added to a prediction in each bin: `low` is never positive, `high` never negative.
    """

    edges: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]

    def around(self, expression: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Lower and upper bounds, each of shape (tiles, genes), never negative."""
        low, high = np.empty_like(expression), np.empty_like(expression)
        for gene in range(expression.shape[1]):
            inside = np.searchsorted(self.edges[:, gene], expression[:, gene], side="right")
            low[:, gene] = expression[:, gene] + self.low[inside, gene]
            high[:, gene] = expression[:, gene] + self.high[inside, gene]
        return np.maximum(low, 0), np.maximum(high, 0)


def conformal(
    folds: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]], level: float = LEVEL
) -> Intervals:
    """Bounds that hold for a spot of a new section with probability `level`, as far as sections are alike.

    Parameters
    ----------
    folds : sequence of (predicted, measured)
        Each of shape (spots, genes): held-out sections in log expression. Every section counts alike,
        however many spots it has: a new section is drawn from the sections.
    level : float
        Wanted coverage.
    """
    predicted = np.concatenate([fold[0] for fold in folds]).astype(np.float64)
    measured = np.concatenate([fold[1] for fold in folds]).astype(np.float64)
    weight = np.concatenate([np.full(len(fold[0]), 1 / len(fold[0])) for fold in folds])
    genes = predicted.shape[1]
    edges = np.quantile(predicted, np.arange(1, BINS) / BINS, axis=0)
    low, high = np.empty((BINS, genes)), np.empty((BINS, genes))
    for gene in range(genes):
        inside = np.searchsorted(edges[:, gene], predicted[:, gene], side="right")
        rest = measured[:, gene] - predicted[:, gene]
        for number in range(BINS):
            mine = inside == number
            if mine.sum() < BINS * 10:
                mine = np.ones_like(mine)
            # A bias of the held-out sections widens the interval; it never moves it off the prediction.
            low[number, gene] = min(0.0, -_bound(-rest[mine], weight[mine], (1 + level) / 2))
            high[number, gene] = max(0.0, _bound(rest[mine], weight[mine], (1 + level) / 2))
    return Intervals(edges.astype(np.float32), low.astype(np.float32), high.astype(np.float32))


def _bound(rest: NDArray[np.float64], weight: NDArray[np.float64], level: float) -> float:
    """The smallest value that a share `level` of the weight does not exceed, a new spot counted with them."""
    order = np.argsort(rest, kind="stable")
    reached = np.cumsum(weight[order]) / weight.sum() * len(rest) / (len(rest) + 1)
    place = int(np.searchsorted(reached, level - 1e-12))
    return float(rest[order[min(place, len(rest) - 1)]])
