"""From a standardised table to a trained model: rehearsed on held-out patients to choose, and to weigh."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from histoscribe.arrays import Floats, Mask, Numbers
from histoscribe.imputer.gates import KNOTS, Gates, Rehearsal
from histoscribe.imputer.gaussian import NOISE_INFLATION, GaussianStart, fit_factors, regress_on_factors
from histoscribe.imputer.network import Corrector, identities_from
from histoscribe.imputer.own import expect_holed
from histoscribe.imputer.reference import ReferenceMemory, choose_references
from histoscribe.imputer.restorer import Restorer
from histoscribe.imputer.training.table import TrainingTable
from histoscribe.models.estimator import require_whole
from histoscribe.models.folds import deal_folds
from histoscribe.models.reproducible import seeded
from histoscribe.progress import Progress

GRID = (8, 15, 25, 50, 100, 200)
"""Numbers of factors that are tried."""

_INFLATIONS = (1.0, NOISE_INFLATION)
_OLD = (0.003, 0.1, 1.0)
_SHOWN = (0.5, 0.07)
_ROWS = 300
_TRIED_FOLDS = 2
_CELLS = 6_000_000
_PARTS = 6
_FOLDS = 4


def fit_restorer(
    table: TrainingTable,
    settings: ImputerSettings,
    *,
    seed: int,
    device: torch.device,
    progress: Progress,
    checkpoint: Path | None = None,
) -> tuple[Restorer, list[Rehearsal], GaussianOptions]:
    """Train a model on a standardised table.

    Samples remembered from an earlier model are learned from, never held out, and left aside where held-out
    samples are restored better without them. A patient is never split between learning and weighing.
    `checkpoint`: where training keeps its state, to go on from after it was stopped.
    """
    progress.report("fitting the conditional Gaussian")
    samples, genes = table.values.shape
    filled = fill_table(table, seed)
    several = len(np.unique(filled.folds[table.old :])) > 1
    choice = GaussianOptions(max(1, min(settings.factors or GRID[1], samples // 3)), NOISE_INFLATION)
    gates, rehearsals, least = Gates(genes, table.own), list[Rehearsal](), np.inf
    for tried in choose(filled, settings.factors, progress) if several else ():
        answers = rehearse(filled, tried, references=settings.references, progress=progress)
        fitted = Gates(genes, table.own)
        if (missed := fitted.fit(answers)) < least:
            choice, gates, rehearsals, least = tried, fitted, answers, missed
    everyone = np.ones(samples, dtype=bool)
    start = filled.start(everyone, choice)
    memory = filled.memory(everyone, choice, settings.references, start)
    with seeded(seed):
        corrector = Corrector(identities_from(start.loadings))
    if rehearsals and settings.steps > 0:
        from histoscribe.imputer.training.correction import train_corrector
        from histoscribe.models.training import TrainingOptions

        held = deal_folds(table.groups, _PARTS, seed + 1) == 0
        held[: table.old] = False
        if held.any() and not held[table.old :].all():
            options = TrainingOptions("training the correction", settings.steps, seed, seed_each_step=True)
            options = replace(options, device=device, devices=settings.devices, clip=1.0)
            train_corrector(corrector, gates, rehearsals, held, options, progress, checkpoint)
    return Restorer(start, memory, gates, corrector).eval(), rehearsals, choice


def choose(table: FilledTable, given: int | None, progress: Progress) -> tuple[GaussianOptions, ...]:
    """Try sizes and noises of the Gaussian on held-out samples with half, and with most, genes hidden.

    The best for the table alone and, where there are samples of an earlier model, the best that learns from
    them too. `given` is the number of factors, where it is settled already.
    """
    most = max(1, int((table.folds >= 0).sum()) // 3)
    sizes = [size for size in (GRID if given is None else (given,)) if size <= most] or [min(most, GRID[0])]
    remembers = bool((table.folds < 0).any())
    old = 0.0 if remembers else 1.0
    alone = _compare(table, [GaussianOptions(size, 1.0, old) for size in sizes], progress)
    if not remembers:
        return (_least(alone),)
    beside = _compare(table, [GaussianOptions(size, 1.0, _OLD[len(_OLD) // 2]) for size in sizes], progress)
    best = _least(beside)
    others = [GaussianOptions(best.factors, 1.0, old) for old in _OLD if old != best.old]
    return _least(alone), _least(beside | _compare(table, others, progress))


def _least(missed: dict[GaussianOptions, float]) -> GaussianOptions:
    return min(missed, key=lambda choice: missed[choice])


def _compare(
    table: FilledTable, tries: list[GaussianOptions], progress: Progress
) -> dict[GaussianOptions, float]:
    """Squared error of each try at each inflation, over the same held-out samples and genes."""
    missed: dict[GaussianOptions, float] = {}
    random = np.random.default_rng(table.seed)
    for fold in np.unique(table.folds[table.folds >= 0])[:_TRIED_FOLDS]:
        held = np.flatnonzero(table.folds == fold)
        held = np.sort(random.choice(held, min(_ROWS, len(held)), replace=False))
        own: Mask = np.asarray(table.blocks[held].any(0))
        values, known = table.filled[held], table.known[held]
        shown = [own & (random.random(len(own)) < share) for share in _SHOWN]
        for one in progress.track(tries, "choosing the Gaussian's size", len(tries)):
            loadings, noise = table.factors(table.folds != fold, one)
            for inflation in _INFLATIONS:
                start = GaussianStart(torch.from_numpy(loadings), torch.from_numpy(inflation * noise))
                found = GaussianOptions(one.factors, inflation, one.old)
                total = 0.0
                for some in shown:
                    hidden = known & ~some
                    if not some.any() or not hidden.any():
                        continue
                    observed = torch.from_numpy(np.broadcast_to(some, values.shape).copy())
                    guess = start.expect(start.factors(torch.from_numpy(values), observed)).numpy()
                    total += float(((guess - values) ** 2)[hidden].mean())
                missed[found] = missed.get(found, 0.0) + total
    return missed


def rehearse(
    table: FilledTable, choice: GaussianOptions, *, references: int, progress: Progress
) -> list[Rehearsal]:
    """Hide values and whole genes at every knot, and restore them fold by fold: one for each mode and knot.

    The rows are bounded so that memory does not grow with genes.
    """
    random = np.random.default_rng(table.seed)
    genes = table.filled.shape[1]
    limit = max(_CELLS // genes, 120)
    parts: dict[tuple[int, int], list[Rehearsal]] = {}
    numbers = np.unique(table.folds[table.folds >= 0])
    for fold in numbers:
        train, held = table.folds != fold, np.flatnonzero(table.folds == fold)
        quota = limit // len(numbers)
        if len(held) > quota:
            held = np.sort(random.choice(held, quota, replace=False))
        start = table.start(train, choice)
        memory = table.memory(train, choice, references, start)
        for mode in (0, 1):
            for knot, fraction in enumerate(KNOTS[mode]):
                progress.report(
                    "learning from held-out patients", int(fold) * 10 + mode * 5 + knot, 10 * len(numbers)
                )
                if mode == 0:
                    hidden = np.asarray(random.random((len(held), genes)) >= fraction)
                else:
                    hidden = np.ones((len(held), genes), dtype=bool)
                    hidden[:, random.choice(genes, max(1, round(fraction * genes)), replace=False)] = False
                one = _restore(start, memory, table, held, hidden)
                parts.setdefault((mode, knot), []).append(replace(one, mode=mode, knot=knot))
    arrays = ("rows", "truth", "gaussian", "memory", "observed", "scored", "surprise")
    return [
        replace(some[0], **{name: np.concatenate([getattr(one, name) for one in some]) for name in arrays})  # type: ignore[arg-type]
        for some in parts.values()
    ]


def _restore(
    start: GaussianStart, memory: ReferenceMemory, table: FilledTable, rows: Numbers, hidden: Mask
) -> Rehearsal:
    values, known = table.filled[rows], table.known[rows]
    observed = known & ~hidden
    gaussian, seen = expect_holed(start, values, observed), torch.from_numpy(observed)
    completed = torch.from_numpy(np.where(observed, values, gaussian))
    expected, surprise = memory.read(completed, seen, seen.any(0))
    half = [part.astype(np.float16) for part in (values, gaussian, expected.numpy())]
    scored = known & hidden
    return Rehearsal(0, 0, rows, half[0], half[1], half[2], observed, scored, surprise.numpy())


@dataclass(frozen=True)
class GaussianOptions:
    """What the Gaussian start is fitted with."""

    factors: int
    inflation: float
    """Of the noise: shrinks what few samples overstate."""
    old: float = 1.0
    """Weight of a sample remembered from an earlier model, where a new one counts 1. With 0 the new table is
    learned alone, and the old samples only tell of the genes that it lacks."""


@dataclass(frozen=True, eq=False)
class FilledTable:
    """A filled training table."""

    filled: Floats
    """Standardised, without NaN, shape (samples, genes)."""
    known: Mask
    """False where it was filled, shape (samples, genes)."""
    blocks: Mask
    """False where a sample belongs to a table that lacks the gene, shape (samples, genes)."""
    folds: Numbers
    """-1 for samples remembered from an earlier model, which are never held out, shape (samples,)."""
    seed: int

    def start(self, rows: Mask, choice: GaussianOptions) -> GaussianStart:
        """The conditional Gaussian of some samples; genes that none of them knows expect their mean."""
        loadings, noise = self.factors(rows, choice)
        return GaussianStart(torch.from_numpy(loadings), torch.from_numpy(choice.inflation * noise))

    def factors(self, rows: Mask, choice: GaussianOptions) -> tuple[Floats, Floats]:
        """Loadings and noise before inflation."""
        remembered = rows & (self.folds < 0)
        rows = self._counting(rows, choice)
        blocks = self.blocks[rows]
        there: Mask = np.asarray(blocks.any(0))
        loadings = np.zeros((len(there), choice.factors), dtype=np.float32)
        noise = np.ones(len(there), dtype=np.float32)
        values, weights = self.filled[rows][:, there], np.where(self.folds[rows] < 0, choice.old, 1.0)
        found, noise[there] = fit_factors(
            values, choice.factors, seed=self.seed, inflation=1.0, known=blocks[:, there], weights=weights
        )
        loadings[there, : found.shape[1]] = found
        known: Mask = np.asarray(self.blocks[remembered].any(0))
        lacking, shared = known & ~there, known & there
        if choice.old == 0 and lacking.any():  # genes of old samples alone, from the factors of those shared
            values, own = self.filled[remembered], loadings[shared]
            scaled = own / noise[shared, None]
            inner = np.linalg.inv(np.eye(own.shape[1], dtype=np.float32) + own.T @ scaled)
            scores = values[:, shared] @ (scaled @ inner)
            loadings[lacking], noise[lacking] = regress_on_factors(scores, inner, values[:, lacking])
        return loadings, noise

    def memory(
        self, rows: Mask, choice: GaussianOptions, limit: int, start: GaussianStart
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

    def _counting(self, rows: Mask, choice: GaussianOptions) -> Mask:
        return rows & (self.folds >= 0) if choice.old == 0 else rows


def fill_table(table: TrainingTable, seed: int) -> FilledTable:
    """Fill the holes of a training table and assign its own patients to folds."""
    values, old, own = table.values, table.old, table.own
    known = ~np.isnan(values)
    blocks = np.concatenate([np.broadcast_to(part.any(0), part.shape) for part in (known[:old], known[old:])])
    if old:
        values = values.copy()
        size = max(1, (len(values) - old) // 3)
        values[old:, :own] = _fill_holes(values[old:, :own], blocks[old:, :own], size, seed)
    filled = _fill_holes(values, blocks, max(1, len(values) // 3), seed)
    groups = table.groups[old:]
    folds = np.full(len(values), -1, dtype=np.int64)
    folds[old:] = deal_folds(groups, min(_FOLDS, max(2, len(set(groups)))), seed)
    return FilledTable(filled, known, blocks, folds, seed)


def _fill_holes(values: Floats, blocks: Mask, factors: int, seed: int) -> Floats:
    """Fill natural holes (NaN) with a first factor model's expectation; `blocks` as in `FilledTable`."""
    known = ~np.isnan(values)
    filled = np.nan_to_num(values).astype(np.float32)
    if known.all():
        return filled
    for _ in range(2):
        start = GaussianStart(
            *map(torch.from_numpy, fit_factors(filled, min(factors, 50), seed=seed, known=blocks))
        )
        rows = np.flatnonzero(~known.all(1))
        filled[rows] = np.where(known[rows], filled[rows], expect_holed(start, filled[rows], known[rows]))
    return filled


@dataclass(frozen=True)
class ImputerSettings:
    """What is chosen before training; `SettingError` if a number is too small."""

    factors: int | None = None
    """Of the Gaussian start, at most a third of the samples; chosen on held-out patients where not given."""
    references: int = 2048
    """Training samples that the memory keeps, at least 20. Their values become part of the model."""
    steps: int = 600
    """Training steps of the encoder–decoder; 0 leaves it out."""
    devices: int = 1
    """How many devices, or processes on the CPU, train together."""

    def __post_init__(self) -> None:
        require_whole(self, references=20, steps=0, devices=1)
        if self.factors is not None:
            require_whole(self, factors=1)
