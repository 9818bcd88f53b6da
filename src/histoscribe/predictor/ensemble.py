"""The ensemble: how much each of its parts makes of the prediction, chosen on inner folds."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from histoscribe.arrays import Floats, Numbers, Wide
from histoscribe.predictor.linear import centred, cosine
from histoscribe.predictor.retrieval.gallery import Neighbours, average

_NEIGHBOURS = (20, 50, 100, 200)
_TEMPERATURES = (0.05, 0.2, 1.0)
_STEPS = 10
_AS_GOOD = 0.003
_PARTS = ("retrieval", "regression", "linear")


@dataclass(frozen=True)
class EnsembleWeights:
    """Shares of the three parts, and how retrieval averages."""

    retrieval: float = 0.5
    regression: float = 0.1
    linear: float = 0.4
    """`retrieval`, `regression` and `linear`: shares, not negative."""
    neighbours: int = 50
    """How many reference spots are averaged."""
    temperature: float = 0.2
    """Of the softmax over their similarities."""
    rough: float = 0.0
    smooth: float = 0.0
    """`rough` and `smooth`: shares of the neighbours' mean in the least and in the most spatial gene; see
    `smoothness`."""


@dataclass(frozen=True, eq=False)
class PartialPredictions:
    """What the parts of a fitted predictor say of some tiles, in standardised expression."""

    regression: Floats
    linear: Floats
    """`regression` and `linear`: of the guided experts (mean over members) and of the ridge, shape (tiles,
    genes)."""
    retrieved: list[Neighbours]
    """One per member."""
    values: Floats
    """What the reference spots express, shape (references, genes)."""
    trust: Floats
    """How much each reference spot counts, shape (references,)."""

    def _nearest(self, k: int, temperature: float) -> tuple[Numbers, Floats]:
        """The nearest k of every member side by side, and their weights: both (tiles, members × k)."""
        index, weights = [], []
        for found in (neighbours.nearest(k) for neighbours in self.retrieved):
            trusted = found.weights(temperature) * self.trust[found.index]
            index.append(found.index)
            weights.append(trusted / trusted.sum(axis=1, keepdims=True))
        joined = np.concatenate(weights, axis=1) / len(weights)
        return np.concatenate(index, axis=1), np.asarray(joined, dtype=np.float32)

    def retrieval(self, neighbours: int, temperature: float) -> Floats:
        """Mean over members of the weighted means of the closest reference spots."""
        return average(self.values, *self._nearest(neighbours, temperature))

    def evidence(self, chosen: EnsembleWeights, count: int = 8) -> tuple[Numbers, Floats]:
        """The reference spots that weigh most in retrieval, and their shares: both (tiles, ≤ count)."""
        index, weights = self._nearest(chosen.neighbours, chosen.temperature)
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
        return np.take_along_axis(index, top, 1), np.take_along_axis(summed, top, 1).astype(np.float32)

    def weighed(self, weights: EnsembleWeights) -> Floats:
        """The prediction in standardised expression, shape (tiles, genes)."""
        mixed = weights.regression * self.regression + weights.linear * self.linear
        if weights.retrieval:
            mixed = mixed + weights.retrieval * self.retrieval(weights.neighbours, weights.temperature)
        return np.asarray(mixed, dtype=np.float32)


def choose_weights(
    folds: Sequence[tuple[PartialPredictions, Floats]], without: Sequence[str] = ()
) -> EnsembleWeights:
    """The weights whose mean per-gene Pearson r, averaged over held-out folds, is highest.

    Retrieval is chosen first, by itself; then the shares, on a grid of tenths. The optimum is flat and the
    folds are few, so the shares that come within 0.003 of the best are averaged.

    `folds`: what was answered on each held-out fold, and the measured expression (tiles, genes); `without`:
    parts that get no share.
    """
    found = {
        (k, temperature): [answers.retrieval(k, temperature) for answers, _ in folds]
        for k, temperature in product(_NEIGHBOURS, _TEMPERATURES)
    }
    truths = [truth for _, truth in folds]

    def alone(key: tuple[int, float]) -> float:
        r = [gene_correlation(told, truth).mean() for told, truth in zip(found[key], truths, strict=True)]
        return float(np.mean(r))

    neighbours, temperature = max(found, key=alone)
    moments = [
        _moments([near, answers.regression, answers.linear], truth)
        for near, (answers, truth) in zip(found[neighbours, temperature], folds, strict=True)
    ]
    reached = {shares: _mixed_correlation(shares, moments) for shares in _grid(without)}
    highest = max(reached.values())
    good = np.mean([shares for shares, r in reached.items() if r >= highest - _AS_GOOD], axis=0)
    retrieval, regression, linear = (round(float(share), 3) for share in good)
    return EnsembleWeights(retrieval, regression, linear, neighbours, temperature)


def _grid(without: Sequence[str]) -> list[tuple[float, ...]]:
    shares = [
        (*parts, _STEPS - sum(parts))
        for parts in product(range(_STEPS + 1), repeat=len(_PARTS) - 1)
        if sum(parts) <= _STEPS
    ]
    off = [number for number, name in enumerate(_PARTS) if name in without]
    return [tuple(part / _STEPS for part in parts) for parts in shares if not any(parts[i] for i in off)]


Moments = tuple[Wide, Wide]


def _moments(answers: Sequence[Floats], truth: Floats) -> Moments:
    """Covariances between the answers (genes, answers, answers), and with the truth in units of its sd."""
    parts = np.stack(answers).astype(np.float64)
    parts -= parts.mean(axis=1, keepdims=True)
    rest = truth - truth.mean(axis=0, dtype=np.float64)
    rest /= np.maximum(np.sqrt((rest**2).sum(axis=0)), 1e-12)
    return np.einsum("isg,jsg->gij", parts, parts), np.einsum("isg,sg->gi", parts, rest)


def _mixed_correlation(shares: tuple[float, ...], moments: Sequence[Moments]) -> float:
    w = np.asarray(shares)
    reached = []
    for among, with_truth in moments:
        spread = np.sqrt(np.maximum(among @ w @ w, 0))
        reached.append(np.mean(with_truth @ w / np.where(spread > 1e-12, spread, np.inf)))
    return float(np.mean(reached))


def gene_correlation(predicted: Floats, truth: Floats) -> Wide:
    """Pearson r of every gene over the rows, shape (genes,); 0 where either side does not vary."""
    return cosine(centred(predicted), centred(truth))
