"""How many factors, how much noise, how much old samples count: chosen on held-out samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.imputer.gaussian import NOISE_INFLATION, GaussianStart, fit_factors, regress_on_factors
from histoscribe.imputer.reference import ReferenceMemory, choose_references
from histoscribe.progress import Progress

GRID = (8, 15, 25, 50, 100, 200)
_INFLATIONS = (1.0, NOISE_INFLATION)
_OLD = (0.003, 0.1, 1.0)
_SHOWN = (0.5, 0.07)
_ROWS = 300
_FOLDS = 2


@dataclass(frozen=True)
class Choice:
    """What the Gaussian start is fitted with.

    Parameters
    ----------
    factors : int
    inflation : float
        Of the noise: shrinks what few samples overstate.
    old : float
        Weight of a sample remembered from an earlier model, where a new one counts 1. With 0 the new table
        is learned alone, and the old samples only tell of the genes that it lacks.
    """

    factors: int
    inflation: float
    old: float = 1.0


@dataclass(frozen=True, eq=False)
class Lesson:
    """A filled training table.

    Parameters
    ----------
    filled : ndarray of float32, shape (samples, genes)
        Standardised, without NaN.
    known : ndarray of bool, shape (samples, genes)
        False where it was filled.
    blocks : ndarray of bool, shape (samples, genes)
        False where a sample belongs to a table that lacks the gene.
    folds : ndarray of int64, shape (samples,)
        -1 for samples remembered from an earlier model, which are never held out.
    seed : int
    """

    filled: NDArray[np.float32]
    known: NDArray[np.bool_]
    blocks: NDArray[np.bool_]
    folds: NDArray[np.int64]
    seed: int

    def start(self, rows: NDArray[np.bool_], choice: Choice) -> GaussianStart:
        """The conditional Gaussian of some samples; genes that none of them knows expect their mean."""
        loadings, noise = self.factors(rows, choice)
        return GaussianStart(torch.from_numpy(loadings), torch.from_numpy(choice.inflation * noise))

    def factors(
        self, rows: NDArray[np.bool_], choice: Choice
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Loadings and noise before inflation."""
        remembered = rows & (self.folds < 0)
        rows = self._counting(rows, choice)
        blocks = self.blocks[rows]
        there: NDArray[np.bool_] = np.asarray(blocks.any(0))
        loadings = np.zeros((len(there), choice.factors), dtype=np.float32)
        noise = np.ones(len(there), dtype=np.float32)
        found, noise[there] = fit_factors(
            self.filled[rows][:, there], choice.factors, seed=self.seed, inflation=1.0,
            known=blocks[:, there], weights=np.where(self.folds[rows] < 0, choice.old, 1.0),
        )  # fmt: skip
        loadings[there, : found.shape[1]] = found
        if choice.old == 0:
            self._add_lacking(remembered, there, loadings, noise)
        return loadings, noise

    def memory(
        self, rows: NDArray[np.bool_], choice: Choice, limit: int, start: GaussianStart
    ) -> ReferenceMemory:
        """The memory of at most `limit` of some samples.

        What a whole table lacks is filled by the Gaussian of the same samples (`start`), so that samples held
        out from them have no say in it.
        """
        rows = self._counting(rows, choice)
        kept = np.flatnonzero(rows)[choose_references(self.folds[rows], limit, self.seed)]
        samples, there = torch.from_numpy(self.filled[kept]), torch.from_numpy(self.blocks[kept])
        if not bool(there.all()):
            samples = torch.where(there, samples, start.expect(start.factors(samples, there)))
        return ReferenceMemory(samples)

    def _counting(self, rows: NDArray[np.bool_], choice: Choice) -> NDArray[np.bool_]:
        return rows & (self.folds >= 0) if choice.old == 0 else rows

    def _add_lacking(
        self,
        remembered: NDArray[np.bool_],
        there: NDArray[np.bool_],
        loadings: NDArray[np.float32],
        noise: NDArray[np.float32],
    ) -> None:
        """Learn the genes that only old samples know, in place, from the factors of the genes they share."""
        known: NDArray[np.bool_] = np.asarray(self.blocks[remembered].any(0))
        lacking, shared = known & ~there, known & there
        if not lacking.any():
            return
        values, own = self.filled[remembered], loadings[shared]
        scaled = own / noise[shared, None]
        inner = np.linalg.inv(np.eye(own.shape[1], dtype=np.float32) + own.T @ scaled)
        scores = values[:, shared] @ (scaled @ inner)
        loadings[lacking], noise[lacking] = regress_on_factors(scores, inner, values[:, lacking])


def choose(lesson: Lesson, given: int | None, progress: Progress) -> tuple[Choice, ...]:
    """Try sizes and noises of the Gaussian on held-out samples with half, and with most, genes hidden.

    Where there are samples of an earlier model, sizes are tried with and without them.

    Parameters
    ----------
    given : int, optional
        Number of factors, where it is settled already.

    Returns
    -------
    tuple of Choice
        The best for the table alone and, where there are old samples, the best that learns from them too.
    """
    most = max(1, int((lesson.folds >= 0).sum()) // 3)
    sizes = [size for size in (GRID if given is None else (given,)) if size <= most] or [min(most, GRID[0])]
    remembers = bool((lesson.folds < 0).any())
    alone = _compare(lesson, [Choice(size, 1.0, 0.0 if remembers else 1.0) for size in sizes], progress)
    if not remembers:
        return (_least(alone),)
    beside = _compare(lesson, [Choice(size, 1.0, _OLD[len(_OLD) // 2]) for size in sizes], progress)
    best = _least(beside)
    others = [Choice(best.factors, 1.0, old) for old in _OLD if old != best.old]
    return _least(alone), _least(beside | _compare(lesson, others, progress))


def _least(missed: dict[Choice, float]) -> Choice:
    return min(missed, key=lambda choice: missed[choice])


def _compare(lesson: Lesson, tries: list[Choice], progress: Progress) -> dict[Choice, float]:
    """Squared error of each try at each inflation, over the same held-out samples and genes."""
    missed: dict[Choice, float] = {}
    random = np.random.default_rng(lesson.seed)
    for fold in np.unique(lesson.folds[lesson.folds >= 0])[:_FOLDS]:
        held = np.flatnonzero(lesson.folds == fold)
        held = np.sort(random.choice(held, min(_ROWS, len(held)), replace=False))
        own: NDArray[np.bool_] = np.asarray(lesson.blocks[held].any(0))
        shown = [own & (random.random(len(own)) < share) for share in _SHOWN]
        for one in progress.track(tries, "choosing the Gaussian's size", len(tries)):
            loadings, noise = lesson.factors(lesson.folds != fold, one)
            for inflation in _INFLATIONS:
                start = GaussianStart(torch.from_numpy(loadings), torch.from_numpy(inflation * noise))
                found = Choice(one.factors, inflation, one.old)
                missed[found] = missed.get(found, 0.0) + sum(
                    _missed(lesson, start, held, some) for some in shown if some.any()
                )
    return missed


def _missed(lesson: Lesson, start: GaussianStart, held: NDArray[np.int64], shown: NDArray[np.bool_]) -> float:
    """Mean squared error of what is hidden."""
    values, known = lesson.filled[held], lesson.known[held]
    observed = torch.from_numpy(np.broadcast_to(shown, values.shape).copy())
    guess = start.expect(start.factors(torch.from_numpy(values), observed)).numpy()
    hidden = known & ~shown
    return float(((guess - values) ** 2)[hidden].mean()) if hidden.any() else 0.0
