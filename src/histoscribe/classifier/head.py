"""The head for the genes at hand: classes read from remembered samples, calibrated, and a bound of the known.

Classes are read as the imputer's memory reads a gene: a Gaussian process over samples with a Matérn 3/2
covariance. Whole patients that were held out set the temperature of the probabilities, and say how unlike
its class a sample of a known one may be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from histoscribe.imputer.reference import NUGGET, WIDTH

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
FOLDS = 5
_NEAREST, _RIDGE, _TINY = 5, 0.03, 1e-9


@dataclass(frozen=True, eq=False)
class Memory:
    """Samples of known classes, by the genes at hand."""

    samples: Floats
    """Standardised, holes at the mean, shape (samples, genes)."""
    classes: Places
    """The number of each one's class, shape (samples,)."""
    weights: Floats
    """What a remembered sample says of each class, shape (samples, classes)."""
    share: Floats
    """How frequent the classes are, shape (classes,)."""
    scale: float
    """The typical squared distance of two samples."""
    within: tuple[Floats, Floats]
    whole: tuple[Floats, Floats]
    """`within` and `whole`: axes (axes, genes) and variances about the means of classes, and that of all."""

    @classmethod
    def of(cls, samples: Floats, classes: Places, count: int) -> Memory:
        """Solve for the weights, in closed form."""
        distance = squared(samples, samples)
        scale = float(np.median(distance[~np.eye(len(samples), dtype=bool)])) or 1.0
        member = (classes[:, None] == np.arange(count)).astype(np.float64)
        share = member.mean(0)
        kernel = matern(distance / (WIDTH * scale)) + NUGGET * np.eye(len(samples))
        weights = np.linalg.solve(kernel, member - share)
        means = member.T @ samples / np.maximum(member.sum(0), 1)[:, None]
        return cls(samples, classes, weights, share, scale, _axes(samples - means[classes]), _axes(samples))

    def expect(self, asked: Floats) -> tuple[Floats, Floats]:
        """Expected membership, shape (samples, classes), and two kinds of strangeness, shape (samples, 2).

        Strange is what lies far from its five nearest samples, and what lies farther from the nearest class's
        mean, by the spread within classes, than from the mean of all (the relative Mahalanobis distance of
        Ren et al. 2021).
        """
        distance = squared(asked, self.samples)
        member = matern(distance / (WIDTH * self.scale)) @ self.weights + self.share
        near = np.sqrt(np.sort(distance, 1)[:, :_NEAREST].mean(1) / self.scale)
        known = np.flatnonzero(np.bincount(self.classes, minlength=len(self.share)))
        means = np.array([self.samples[self.classes == one].mean(0) for one in known])
        apart = np.min([_stretched(asked - mean, self.within) for mean in means], axis=0)
        return member, np.column_stack([near, apart - _stretched(asked, self.whole)])


@dataclass(frozen=True, eq=False)
class Head:
    """Tells classes from the genes that a table has."""

    memory: Memory
    parts: tuple[Memory, ...]
    """Each without one fold: a new sample is as strange to them as a held-out one was."""
    temperature: float
    middle: Floats
    spread: Floats
    """`middle` and `spread`: of each strangeness among held-out samples called so, and of all of them, shape
    (classes + 1, 2)."""
    bound: float
    """Of the novelty, which no more than the chosen share of held-out samples exceed."""

    @classmethod
    def of(cls, samples: Floats, classes: Places, patients: list[str], count: int, unknown: float) -> Head:
        """Learn from labelled samples; `unknown`: share of known ones that may be called unknown."""
        from scipy.optimize import minimize_scalar

        member, strange = np.zeros((len(samples), count)), np.zeros((len(samples), 2))
        fold, parts = folds_of(classes, patients), []
        for one in np.unique(fold):
            out = fold == one
            parts.append(Memory.of(samples[~out], classes[~out], count))
            member[out], strange[out] = parts[-1].expect(samples[out])

        def loss(log: float) -> float:
            told = softmax(member * np.exp(log))[np.arange(len(classes)), classes]
            return -float(np.log(np.maximum(told, _TINY)).mean())

        temperature = float(np.exp(minimize_scalar(loss, bounds=(-2, 5), method="bounded").x))
        called = member.argmax(1)
        groups = [called == one for one in range(count)] + [np.ones(len(called), dtype=bool)]
        enough = [own if own.sum() >= 2 * FOLDS else groups[-1] for own in groups]
        middle = np.array([np.median(strange[own], axis=0) for own in enough])
        spread = np.array([np.quantile(strange[own], 0.9, axis=0) for own in enough]) - middle
        spread = np.maximum(spread, 0.2 * spread[-1])
        head = cls(Memory.of(samples, classes, count), tuple(parts), temperature, middle, spread, 1.0)
        return replace(head, bound=float(np.quantile(head._novelty(strange, called), 1 - unknown)))

    def tell(self, asked: Floats) -> tuple[Floats, Floats]:
        """Probability of each class (samples, classes), and novelty, above 1 for unknown (samples,)."""
        member, strange = self.memory.expect(asked)[0], [part.expect(asked)[1] for part in self.parts]
        novelty = self._novelty(np.mean(strange, axis=0), member.argmax(1))
        return softmax(member * self.temperature), 1 + (novelty - self.bound) / max(abs(self.bound), 1.0)

    def _novelty(self, strange: Floats, called: Places) -> Floats:
        """Both by the standards of the called class, and the distance from the mean by those of all too."""
        own = ((strange - self.middle[called]) / self.spread[called]).sum(1)
        return np.asarray(own + (strange[:, 1] - self.middle[-1, 1]) / self.spread[-1, 1])

    def carried(self, sample: Floats, draws: int) -> Floats:
        """What each gene adds to the lead of the called class over the next: sampled Shapley values (genes,).

        Genes come in one by one, in random orders and the reverse of each (Castro et al. 2009); a gene that
        has not come is at its mean. They sum up to the lead, less that of a sample at the mean.
        """
        memory = self.memory
        member, _ = memory.expect(sample[None])
        next_, first = np.argsort(member[0])[-2:]
        weights = memory.weights[:, first] - memory.weights[:, next_]
        steps = (sample**2)[:, None] - 2 * sample[:, None] * memory.samples.T
        start = (memory.samples**2).sum(1)
        random, total = np.random.default_rng(0), np.zeros(len(sample))
        for _ in range(draws):
            order = random.permutation(len(sample))
            for genes in (order, order[::-1]):
                path = np.vstack([start, start + np.cumsum(steps[genes], axis=0)])
                lead = matern(np.maximum(path, 0) / (WIDTH * memory.scale)) @ weights
                total[genes] += np.diff(lead)
        return np.asarray(total / (2 * draws), dtype=np.float64)


def folds_of(classes: Places, patients: list[str]) -> Places:
    """The fold of each sample: whole patients, each class shared out evenly."""
    names, first, which = np.unique(patients, return_index=True, return_inverse=True)
    fold = np.empty(len(names), dtype=np.int64)
    order = np.lexsort((np.random.default_rng(0).random(len(names)), classes[first]))
    fold[order] = np.arange(len(names)) % FOLDS
    return np.asarray(fold[which], dtype=np.int64)


def softmax(logits: Floats) -> Floats:
    """Probabilities, rows sum up to 1."""
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True), dtype=np.float64)


def squared(one: Floats, other: Floats) -> Floats:
    """Squared distances of rows, shape (rows, other rows)."""
    lengths = (one**2).sum(1)[:, None] + (other**2).sum(1)
    return np.asarray(np.maximum(lengths - 2 * one @ other.T, 0), dtype=np.float64)


def matern(ratio: Floats) -> Floats:
    """The Matérn 3/2 covariance of squared distances over a squared width."""
    root = np.sqrt(3 * ratio)
    return np.asarray((1 + root) * np.exp(-root), dtype=np.float64)


def _axes(values: Floats) -> tuple[Floats, Floats]:
    """Principal axes (axes, genes) and variances about zero, from the smaller of both products."""
    wide = len(values) < values.shape[1]
    size, found = np.linalg.eigh(values @ values.T if wide else values.T @ values)
    kept = size > _TINY * size[-1]
    axes = found[:, kept].T @ values / np.sqrt(size[kept])[:, None] if wide else found[:, kept].T
    return np.asarray(axes, dtype=np.float64), size[kept] / len(values)


def _stretched(values: Floats, spread: tuple[Floats, Floats]) -> Floats:
    """Squared length of rows in standard deviations, the variances raised by a ridge, shape (rows,)."""
    axes, variances = spread
    along = values @ axes.T
    beside = np.maximum((values**2).sum(1) - (along**2).sum(1), 0)
    return np.asarray((along**2 / (variances + _RIDGE)).sum(1) + beside / _RIDGE, dtype=np.float64)
