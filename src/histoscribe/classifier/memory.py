"""What is remembered: labelled samples, by the genes at hand, and what they say of others.

Classes are read as the imputer's memory reads a gene: a Gaussian process over samples with a Matérn 3/2
covariance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from histoscribe.arrays import Numbers, Wide
from histoscribe.imputer.reference import NUGGET, WIDTH
from histoscribe.rows import squared_distances

TINY = 1e-9
_RIDGE = 0.03


@dataclass(frozen=True, eq=False)
class Spread:
    """How samples scatter about zero in all genes, the variances raised by a ridge."""

    samples: Wide
    """Shape (samples, genes)."""
    factor: tuple[Wide, bool]
    """Cholesky's, of their products and the ridge, shape (samples, samples)."""

    @classmethod
    def of(cls, samples: Wide) -> Spread:
        """Factorise."""
        return cls(samples, cho_factor(samples @ samples.T + len(samples) * _RIDGE * np.eye(len(samples))))

    def lengths(self, asked: Wide, centres: Wide) -> Wide:
        """Squared Mahalanobis distances, shape (rows, centres), by Woodbury's identity."""
        ends = np.vstack([asked, centres]) @ self.samples.T
        solved, rows = cho_solve(self.factor, ends.T), len(asked)
        within = (ends.T * solved).sum(0)
        crossed = within[:rows, None] + within[rows:] - 2 * ends[:rows] @ solved[:, rows:]
        return np.asarray(np.maximum(squared_distances(asked, centres) - crossed, 0) / _RIDGE)

    def products(self, one: Wide, other: Wide) -> Wide:
        """Products by the inverse of the covariance, shape (rows, other rows)."""
        ends, solved = one @ self.samples.T, cho_solve(self.factor, self.samples @ other.T)
        return np.asarray((one @ other.T - ends @ solved) / _RIDGE)


@dataclass(frozen=True, eq=False)
class Memory:
    """Samples of known classes, by the genes at hand."""

    samples: Wide
    """Standardised, holes at the mean, shape (samples, genes)."""
    classes: Numbers
    """The number of each one's class, shape (samples,)."""
    weights: Wide
    """What a remembered sample says of each class, shape (samples, classes)."""
    share: Wide
    """How frequent the classes are, shape (classes,)."""
    scale: float
    """The typical squared distance of two samples."""
    means: Wide
    """Of the classes, zero of one that it lacks, shape (classes, genes)."""
    within: Spread
    whole: Spread
    """`within` and `whole`: about the means of classes, and that of all."""

    @classmethod
    def of(cls, samples: Wide, classes: Numbers, count: int) -> Memory:
        """Solve for the weights, in closed form."""
        distance = squared_distances(samples, samples)
        scale = float(np.median(distance[~np.eye(len(samples), dtype=bool)])) or 1.0
        member = (classes[:, None] == np.arange(count)).astype(np.float64)
        share = member.mean(0)
        kernel = matern(distance / (WIDTH * scale)) + NUGGET * np.eye(len(samples))
        weights = np.linalg.solve(kernel, member - share)
        means = member.T @ samples / np.maximum(member.sum(0), 1)[:, None]
        spreads = Spread.of(samples - means[classes]), Spread.of(samples)
        return cls(samples, classes, weights, share, scale, means, *spreads)

    def expect(self, asked: Wide) -> tuple[Wide, Wide]:
        """Expected membership, shape (samples, classes), and three kinds of strangeness, shape (samples, 3).

        Strange is what lies farther from the nearest class's mean, by the spread within classes, than from
        the mean of all (the relative Mahalanobis distance of Ren et al. 2021), what lies far from that class
        at all, and what is hardly a member of any.
        """
        distance = squared_distances(asked, self.samples)
        member = matern(distance / (WIDTH * self.scale)) @ self.weights + self.share
        apart = self.within.lengths(asked, self.means[self.share > 0]).min(1)
        whole = self.whole.lengths(asked, np.zeros((1, asked.shape[1])))[:, 0]
        return member, np.column_stack([apart - whole, np.log(apart + TINY), -member.max(1)])

    def directions(self, asked: Wide, called: Numbers) -> Wide:
        """Which way samples lie off the mean of the called class, of length 1 by the spread within."""
        away = asked - self.means[called]
        length = self.within.lengths(away, np.zeros((1, away.shape[1])))
        return np.asarray(away / np.sqrt(length + TINY))


def matern(ratio: Wide) -> Wide:
    """The Matérn 3/2 covariance of squared distances over a squared width."""
    root = np.sqrt(3 * ratio)
    return np.asarray((1 + root) * np.exp(-root), dtype=np.float64)
