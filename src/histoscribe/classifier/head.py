"""The head for the genes at hand: classes read from remembered samples, calibrated, and a bound of the known.

Whole patients that were held out set the temperature of the probabilities, and say how unlike its class a
sample of a known one may be, and how like others that are called the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from histoscribe.arrays import Numbers, Wide
from histoscribe.classifier.company import Company, likeness
from histoscribe.classifier.memory import TINY, Memory, matern
from histoscribe.imputer.reference import WIDTH
from histoscribe.models.folds import deal_folds

FOLDS = 5
_ENOUGH = 2 * FOLDS
_WEIGHTS = np.array([1.0, 0.3, 0.3])
"""Of the kinds of strangeness, in their order."""
_COMPANY, _FEWEST = 1.0, 4
"""How much others called the same weigh, and how many they must be: see docs/benchmarks/answers.md."""


@dataclass(frozen=True, eq=False)
class Head:
    """Tells classes from the genes that a table has."""

    memory: Memory
    parts: tuple[Memory, ...]
    """Each without one fold: a new sample is as strange to them as a held-out one was."""
    temperature: float
    middle: Wide
    spread: Wide
    """`middle` and `spread`: of each strangeness among held-out samples called so, shape (classes, 3)."""
    held: Wide
    """How strange held-out samples were, shape (samples,)."""
    company: Company
    unknown: float
    """Share of held-out samples that may be called unknown."""

    @classmethod
    def of(cls, samples: Wide, classes: Numbers, patients: Sequence[str], count: int, unknown: float) -> Head:
        """Learn from labelled samples; `unknown`: share of known ones that may be called unknown."""
        member, strange = np.zeros((len(samples), count)), np.zeros((len(samples), len(_WEIGHTS)))
        fold, parts = deal_folds(patients, FOLDS, 0, classes), []
        for one in np.unique(fold):
            out = fold == one
            parts.append(Memory.of(samples[~out], classes[~out], count))
            member[out], strange[out] = parts[-1].expect(samples[out])

        def loss(log: float) -> float:
            told = softmax(member * np.exp(log), axis=1)[np.arange(len(classes)), classes]
            return -float(np.log(np.maximum(told, TINY)).mean())

        temperature = float(np.exp(minimize_scalar(loss, bounds=(-2, 5), method="bounded").x))
        called = member.argmax(1)
        everyone = np.ones(len(called), dtype=bool)
        groups = [called == one for one in range(count)]
        enough = [own if own.sum() >= _ENOUGH else everyone for own in groups]
        middle = np.array([np.median(strange[own], axis=0) for own in enough])
        spread = np.array([np.quantile(strange[own], 0.9, axis=0) for own in enough]) - middle
        usual = np.quantile(strange, 0.9, axis=0) - np.median(strange, axis=0) + TINY
        spread = np.where([False, True, False], np.maximum(spread, 0.2 * usual), usual)
        company = Company.of(parts, fold, samples, called, numbered(patients), count)
        held = _summed(strange, called, middle, spread)
        memory = Memory.of(samples, classes, count)
        return cls(memory, tuple(parts), temperature, middle, spread, held, company, unknown)

    def strangeness(self, asked: Wide) -> tuple[Wide, Wide]:
        """Expected membership (samples, classes), and how strange each is for the class called (samples,)."""
        member, strange = self.memory.expect(asked)[0], [part.expect(asked)[1] for part in self.parts]
        return member, _summed(np.mean(strange, axis=0), member.argmax(1), self.middle, self.spread)

    def tell(self, asked: Wide, patients: Sequence[str] | None = None) -> tuple[Wide, Wide, Numbers]:
        """Probability of each class (samples, classes), novelty, above 1 for unknown, and company (samples,).

        `patients`: of each sample, where all are asked together; company: how many others had a say.
        """
        member, strange = self.strangeness(asked)
        called = member.argmax(1)
        bound = np.full(len(asked), np.quantile(self.held, 1 - self.unknown))
        company = np.zeros(len(asked), dtype=np.int64)
        if patients is not None and self.company.heard.sum() >= _ENOUGH:
            owners = numbered(patients)
            found = [likeness(part, asked, called, owners) for part in self.parts]
            alike, others = np.mean([one[0] for one in found], axis=0), found[0][1]
            company[others >= _FEWEST] = others[others >= _FEWEST]
            for number in np.unique(company[company > 0]):
                own, usual = company == number, self.company.usual(int(number), _ENOUGH)
                strange[own] += _COMPANY * (alike[own] - usual.middle[called[own]]) / usual.spread
                held = self.held[self.company.heard] + _COMPANY * usual.excess
                bound[own] = np.quantile(held, 1 - self.unknown)
        told = softmax(member * self.temperature, axis=1)
        return told, 1 + (strange - bound) / np.maximum(np.abs(bound), 1.0), company

    def carried(self, sample: Wide, draws: int) -> Wide:
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


def numbered(patients: Sequence[str]) -> Numbers:
    """The number of each sample's patient, shape (samples,)."""
    return np.unique(np.asarray(patients, dtype=str), return_inverse=True)[1].astype(np.int64)


def _summed(strange: Wide, called: Numbers, middle: Wide, spread: Wide) -> Wide:
    """Sum of all three kinds, as each stands to held-out samples of the called class."""
    return np.asarray((strange - middle[called]) / spread[called] @ _WEIGHTS)
