"""What the other samples of a table say: those of one type that was not learned are odd in the same way.

A sample of a known class lies off its class's mean in a direction of its own; samples of an unknown type
that are called the same lie off it in one direction. What counts is the mean cosine with the others called
the same that are of other patients, as it stands to held-out samples of known classes beside as many others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from histoscribe.arrays import Mask, Numbers, Wide
from histoscribe.classifier.memory import TINY, Memory


@dataclass(frozen=True, eq=False)
class Usual:
    """How alike held-out samples of known classes are to so many others called the same."""

    excess: Wide
    """Over the class's middle, by the common spread; of those that have others, shape (samples heard,)."""
    middle: Wide
    """Of each class, shape (classes,)."""
    spread: float


@dataclass(frozen=True, eq=False)
class Company:
    """Held-out samples beside others that are called the same."""

    alike: Wide
    """Mean cosine with one other, with two, …; of all there are where that is fewer.
    Shape (samples heard, most others)."""
    heard: Mask
    """Which have others at all, shape (samples,)."""
    called: Numbers
    """The class of those, shape (samples heard,)."""
    count: int
    """Of classes."""

    @classmethod
    def of(
        cls,
        parts: Sequence[Memory],
        fold: Numbers,
        samples: Wide,
        called: Numbers,
        owners: Numbers,
        count: int,
    ) -> Company:
        """Ask the samples of each fold together; `parts`: what is remembered without each fold in turn."""
        random, most = np.random.default_rng(0), int(np.bincount(fold).max())
        alike = np.full((len(samples), most), np.nan)
        for part, one in zip(parts, np.unique(fold), strict=True):
            rows = np.flatnonzero(fold == one)
            own, by = called[rows], owners[rows]
            unit = part.directions(samples[rows], own)
            others = (own[:, None] == own) & (by[:, None] != by)
            order = np.argsort(np.where(others, random.random(others.shape), np.inf), axis=1)
            cosine = np.where(others, part.within.products(unit, unit), 0)
            summed = np.cumsum(np.take_along_axis(cosine, order, axis=1), axis=1)
            number = np.minimum(np.arange(1, len(rows) + 1), others.sum(1)[:, None])
            found = np.where(number > 0, summed / np.maximum(number, 1), np.nan)
            alike[rows] = found[:, np.minimum(np.arange(most), len(rows) - 1)]
        heard = ~np.isnan(alike[:, 0])
        return cls(alike[heard], heard, called[heard], count)

    def usual(self, others: int, enough: int) -> Usual:
        """What is to be expected beside so many `others`.

        `enough`: samples by which a class has a middle of its own, else that of all.
        """
        value = self.alike[:, min(others, self.alike.shape[1]) - 1]
        groups = [self.called == one for one in range(self.count)]
        middle = np.array([np.median(value[own] if own.sum() >= enough else value) for own in groups])
        excess = value - middle[self.called]
        spread = float(np.quantile(excess, 0.9)) + TINY
        return Usual(excess / spread, middle, spread)


def likeness(memory: Memory, asked: Wide, called: Numbers, owners: Numbers) -> tuple[Wide, Numbers]:
    """Mean cosine with the others of the table called the same, and how many they are, shape (samples,).

    `owners`: the number of each sample's patient, whose other samples do not count.
    """
    unit = memory.directions(asked, called)
    alike, others = np.zeros(len(asked)), np.zeros(len(asked), dtype=np.int64)
    for one in np.unique(called):
        rows = np.flatnonzero(called == one)
        alike[rows] = memory.within.products(unit[rows], unit[rows].sum(0, keepdims=True))[:, 0]
        which, size = np.unique(owners[rows], return_inverse=True, return_counts=True)[1:]
        others[rows] = len(rows) - size[which]
        alike[rows] -= 1
        for several in np.flatnonzero(size > 1):
            same = rows[which == several]
            alike[same] -= memory.within.products(unit[same], unit[same]).sum(1) - 1
    return alike / np.maximum(others, 1), others
