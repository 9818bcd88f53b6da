"""The head for the genes at hand: classes read from remembered samples, calibrated, and a bound of the known.

Classes are read as the imputer's memory reads a gene: a Gaussian process over samples with a Matérn 3/2
covariance. Whole patients that were held out set the temperature of the probabilities, and say how unlike
its class a sample of a known one may be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from histoscribe.imputer.reference import NUGGET, WIDTH
from histoscribe.models.folds import deal_folds
from histoscribe.rows import squared_distances

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
FOLDS = 5
_RIDGE, _TINY = 0.03, 1e-9
_WEIGHTS = np.array([1.0, 0.3, 0.3])
"""Of the kinds of strangeness, in their order."""


@dataclass(frozen=True, eq=False)
class Spread:
    """How samples scatter about zero in all genes, the variances raised by a ridge."""

    samples: Floats
    """Shape (samples, genes)."""
    factor: tuple[Floats, bool]
    """Cholesky's, of their products and the ridge, shape (samples, samples)."""

    @classmethod
    def of(cls, samples: Floats) -> Spread:
        """Factorise."""
        return cls(samples, cho_factor(samples @ samples.T + len(samples) * _RIDGE * np.eye(len(samples))))

    def lengths(self, asked: Floats, centres: Floats) -> Floats:
        """Squared Mahalanobis distances, shape (rows, centres), by Woodbury's identity."""
        ends = np.vstack([asked, centres]) @ self.samples.T
        solved, rows = cho_solve(self.factor, ends.T), len(asked)
        within = (ends.T * solved).sum(0)
        crossed = within[:rows, None] + within[rows:] - 2 * ends[:rows] @ solved[:, rows:]
        return np.asarray(np.maximum(squared_distances(asked, centres) - crossed, 0) / _RIDGE)


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
    centres: Floats
    """Means of the classes that it has, shape (classes it has, genes)."""
    within: Spread
    whole: Spread
    """`within` and `whole`: about the means of classes, and that of all."""

    @classmethod
    def of(cls, samples: Floats, classes: Places, count: int) -> Memory:
        """Solve for the weights, in closed form."""
        distance = squared_distances(samples, samples)
        scale = float(np.median(distance[~np.eye(len(samples), dtype=bool)])) or 1.0
        member = (classes[:, None] == np.arange(count)).astype(np.float64)
        share = member.mean(0)
        kernel = matern(distance / (WIDTH * scale)) + NUGGET * np.eye(len(samples))
        weights = np.linalg.solve(kernel, member - share)
        means = member.T @ samples / np.maximum(member.sum(0), 1)[:, None]
        spreads = Spread.of(samples - means[classes]), Spread.of(samples)
        return cls(samples, classes, weights, share, scale, means[member.any(0)], *spreads)

    def expect(self, asked: Floats) -> tuple[Floats, Floats]:
        """Expected membership, shape (samples, classes), and three kinds of strangeness, shape (samples, 3).

        Strange is what lies farther from the nearest class's mean, by the spread within classes, than from
        the mean of all (the relative Mahalanobis distance of Ren et al. 2021), what lies far from that class
        at all, and what is hardly a member of any.
        """
        distance = squared_distances(asked, self.samples)
        member = matern(distance / (WIDTH * self.scale)) @ self.weights + self.share
        apart = self.within.lengths(asked, self.centres).min(1)
        whole = self.whole.lengths(asked, np.zeros((1, asked.shape[1])))[:, 0]
        return member, np.column_stack([apart - whole, np.log(apart + _TINY), -member.max(1)])


@dataclass(frozen=True, eq=False)
class Head:
    """Tells classes from the genes that a table has."""

    memory: Memory
    parts: tuple[Memory, ...]
    """Each without one fold: a new sample is as strange to them as a held-out one was."""
    temperature: float
    middle: Floats
    spread: Floats
    """`middle` and `spread`: of each strangeness among held-out samples called so, shape (classes, 3)."""
    bound: float
    """Of the novelty, which no more than the chosen share of held-out samples exceed."""

    @classmethod
    def of(cls, samples: Floats, classes: Places, patients: list[str], count: int, unknown: float) -> Head:
        """Learn from labelled samples; `unknown`: share of known ones that may be called unknown."""
        member, strange = np.zeros((len(samples), count)), np.zeros((len(samples), len(_WEIGHTS)))
        fold, parts = deal_folds(patients, FOLDS, 0, classes), []
        for one in np.unique(fold):
            out = fold == one
            parts.append(Memory.of(samples[~out], classes[~out], count))
            member[out], strange[out] = parts[-1].expect(samples[out])

        def loss(log: float) -> float:
            told = softmax(member * np.exp(log), axis=1)[np.arange(len(classes)), classes]
            return -float(np.log(np.maximum(told, _TINY)).mean())

        temperature = float(np.exp(minimize_scalar(loss, bounds=(-2, 5), method="bounded").x))
        called = member.argmax(1)
        everyone = np.ones(len(called), dtype=bool)
        groups = [called == one for one in range(count)]
        enough = [own if own.sum() >= 2 * FOLDS else everyone for own in groups]
        middle = np.array([np.median(strange[own], axis=0) for own in enough])
        spread = np.array([np.quantile(strange[own], 0.9, axis=0) for own in enough]) - middle
        usual = np.quantile(strange, 0.9, axis=0) - np.median(strange, axis=0) + _TINY
        spread = np.where([False, True, False], np.maximum(spread, 0.2 * usual), usual)
        head = cls(Memory.of(samples, classes, count), tuple(parts), temperature, middle, spread, 1.0)
        return replace(head, bound=float(np.quantile(head._novelty(strange, called), 1 - unknown)))

    def tell(self, asked: Floats) -> tuple[Floats, Floats]:
        """Probability of each class (samples, classes), and novelty, above 1 for unknown (samples,)."""
        member, strange = self.memory.expect(asked)[0], [part.expect(asked)[1] for part in self.parts]
        novelty = self._novelty(np.mean(strange, axis=0), member.argmax(1))
        told = softmax(member * self.temperature, axis=1)
        return told, 1 + (novelty - self.bound) / max(abs(self.bound), 1.0)

    def _novelty(self, strange: Floats, called: Places) -> Floats:
        """Sum of all three, as each stands to held-out samples of the called class."""
        return np.asarray((strange - self.middle[called]) / self.spread[called] @ _WEIGHTS)

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


def matern(ratio: Floats) -> Floats:
    """The Matérn 3/2 covariance of squared distances over a squared width."""
    root = np.sqrt(3 * ratio)
    return np.asarray((1 + root) * np.exp(-root), dtype=np.float64)
