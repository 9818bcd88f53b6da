"""Values of a table, hidden: what weighs a model against the table's own structure, and checks both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import nnls
from scipy.spatial import cKDTree

from histoscribe.arrays import Floats, Mask, Wide
from histoscribe.imputer.gates import LEVEL_90, score_genes
from histoscribe.imputer.own import expect_holed, fit_holed, from_fuller, from_likeness
from histoscribe.progress import Progress

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from histoscribe.imputer.gaussian import GaussianStart

LEAST_SAMPLES = 8
"""Fewer say nothing of each other."""

Around = Callable[[Floats], list[Floats]]
"""Means over neighbours in space; an empty list where there is no space."""

_RINGS = (6, 18)
_FACTORS = ((5, 10.0), (20, 100.0), (60, 100.0))
_WORK = 1_000_000_000
_CELLS = 30_000_000
_NUGGETS = (0.003, 0.1, 0.5)
_HIDDEN = 0.1
_FOLD = 5
_SCORED = 300_000
_PRIOR_CELLS = 25.0
_LEAST = 10


@dataclass(frozen=True, eq=False)
class Completed:
    """A table whose holes are filled by what helped where its own values were hidden."""

    mean: Floats
    spread: Floats
    """`mean` and `spread`: on the scale of what was given, shape (samples, genes)."""
    check: pd.DataFrame
    """As `score_genes` gives it, of the hidden values."""
    cover: float
    """Share of the hidden values in their 90 % intervals, set by the hidden values of other samples."""


def neighbours_of(table: AnnData) -> Around:
    """Means over the 6 and the 18 nearest spots, by `obsm["spatial"]`, the spot itself left out."""
    places = np.asarray(table.obsm["spatial"], dtype=np.float64) if "spatial" in table.obsm else None
    if places is None or len(places) <= _RINGS[-1] or not np.isfinite(places).all():
        return lambda values: []
    near = cKDTree(places).query(places, _RINGS[-1] + 1)[1].T[1:]
    return lambda values: [
        np.asarray(sum(values[place] for place in near[:count]) / np.float32(count)) for count in _RINGS
    ]


def complete(
    values: Floats, told: Callable[[Floats], Floats], genes: Sequence[str], around: Around, progress: Progress
) -> Completed:
    """Fill the holes of a table with a model's and its own samples' knowledge.

    A tenth of what is known is hidden; where groups of samples lack the same genes, those of a fifth of the
    samples that have them. Weights that restore these best, none of them negative, fill the holes. Tables
    of more than 30 million values are filled in parts, each of samples evenly spread; the first part weighs.

    `values` (samples, genes): NaN where not known; some of every gene is. `told`: what the model expects of
    such a table, on its scale; NaN of unknown genes.
    """
    parts = -(-values.size // _CELLS)
    around = around if parts == 1 else lambda values: []
    some = values[::parts]
    hidden, blocks = _hide(~np.isnan(some), np.random.default_rng((0, *some.shape)))
    progress.report("learning the table's own structure", 0, parts + 1)
    trial = _Pass(np.where(hidden, np.float32(np.nan), some), told, around, blocks)
    truth = trial.units(some)
    firsts = trial.firsts(None)
    modelled: Mask = np.asarray(~np.isnan(firsts[0]).any(0))
    groups = [modelled, ~modelled]
    first = [weigh(firsts, truth, hidden & group) for group in groups]
    seconds = trial.seconds(_blend(firsts, first, groups))
    second = [weigh(seconds, truth, hidden & group) for group in groups]
    guess = _blend(seconds, second, groups)
    spread, cover = _calibrate(truth, guess, hidden)
    check = score_genes(truth, guess, hidden, genes)
    mean = np.empty_like(values)
    for number in range(parts):
        progress.report("learning the table's own structure", number + 1, parts + 1)
        whole = _Pass(values[number::parts], told, around, blocks)
        found = whole.seconds(_blend(whole.firsts(trial.starts), first, groups))
        mean[number::parts] = _blend(found, second, groups) * whole.sd + whole.mean
    return Completed(mean, np.broadcast_to(spread * trial.sd, values.shape), check, cover)


class _Pass:
    """One completion of a table with holes, in its own units."""

    def __init__(self, holed: Floats, told: Callable[[Floats], Floats], around: Around, blocks: bool) -> None:
        self.holed, self.told, self.around, self.blocks = holed, told, around, blocks
        self.shown = ~np.isnan(holed)
        count = np.maximum(self.shown.sum(0), 1)
        self.mean = np.asarray(np.nansum(holed, 0) / count, dtype=np.float32)
        centred = np.nan_to_num(holed - self.mean)
        sd = np.sqrt((centred**2).sum(0) / count)
        self.sd = np.where(sd > 1e-6, sd, 1).astype(np.float32)
        self.values = np.asarray(centred / self.sd, dtype=np.float32)
        self.starts: list[GaussianStart] = []

    def units(self, values: Floats) -> Floats:
        return np.asarray((values - self.mean) / self.sd, dtype=np.float32)

    def firsts(self, starts: list[GaussianStart] | None) -> list[Floats]:
        """The model's word, then those of up to three factor models of the table."""
        samples, genes = self.values.shape
        most = max(1, min(samples // 3, genes, max(8, int((_WORK / (min(samples, 1000) * genes)) ** 0.5))))
        kinds = dict.fromkeys((min(size, most), prior) for size, prior in _FACTORS)
        for number, (size, prior) in enumerate(kinds):
            start, rounds = (starts[number], 3) if starts else (None, 12)
            fitted = fit_holed(self.values, self.shown, size, prior=prior, rounds=rounds, start=start)
            self.starts.append(fitted)
        words = [expect_holed(one, self.values, self.shown) for one in self.starts]
        return [self.units(self.told(self.holed)), *words]

    def seconds(self, guess: Floats) -> list[Floats]:
        """What has been guessed, and what alike samples and neighbours say of holes filled with that."""
        completed = np.where(self.shown, self.values, guess)
        alike = [from_likeness(completed, nugget) for nugget in _NUGGETS]
        fuller = from_fuller(self.values, self.shown, guess) if self.blocks else []
        return [guess, *alike, *fuller, *self.around(completed)]


def _hide(known: Mask, random: np.random.Generator) -> tuple[Mask, bool]:
    """Which known values to hide: as groups of samples lack them (then True), or a tenth at random."""
    patterns, which, counts = np.unique(known, axis=0, return_inverse=True, return_counts=True)
    which = which.reshape(-1)
    hidden = np.zeros_like(known)
    if len(patterns) > 1 and (counts[which] > 1).mean() > 0.5:
        for number, pattern in enumerate(patterns):
            fuller = np.flatnonzero((patterns >= pattern).all(1) & (np.arange(len(patterns)) != number))
            rows = np.flatnonzero(np.isin(which, fuller))
            for row in random.choice(rows, -(-len(rows) // _FOLD), replace=False) if len(rows) else ():
                hidden[row] = known[row] & ~pattern
    if hidden.any():
        return hidden, True
    return known & (random.random(known.shape) < _HIDDEN), False


def weigh(words: Sequence[Floats], truth: Floats, hidden: Mask) -> Wide:
    """How much of each word restores the hidden values best, none of it negative."""
    cells = np.flatnonzero(hidden)
    cells = cells[:: max(1, -(-len(cells) // _SCORED))]
    columns = np.array([word.reshape(-1)[cells] for word in words], dtype=np.float64).T
    good: Mask = np.asarray(np.isfinite(columns).all(0), dtype=bool)
    weights = np.zeros(len(words))
    if len(cells) >= _LEAST and good.any():
        weights[good] = nnls(columns[:, good], truth.reshape(-1)[cells].astype(np.float64))[0]
    return weights


def _blend(words: Sequence[Floats], weights: Sequence[Wide], groups: Sequence[Mask]) -> Floats:
    blended = np.zeros_like(words[0])
    for group, own in zip(groups, weights, strict=True):
        for word, weight in zip(words, own, strict=True):
            if weight > 0:
                blended[:, group] += np.float32(weight) * word[:, group]
    return blended


def _calibrate(truth: Floats, guess: Floats, hidden: Mask) -> tuple[Floats, float]:
    """Spread of each gene whose interval holds nine tenths of the hidden values, and `Completed.cover`."""
    missed = np.abs(np.where(hidden, guess - np.nan_to_num(truth), 0))
    half = (np.random.default_rng(1).random(len(truth)) < 0.5)[:, None]

    def spread_of(cells: Mask) -> Floats:
        if not cells.any():
            return np.ones(truth.shape[1], dtype=np.float32)
        squares = ((missed * cells) ** 2).sum(0) + _PRIOR_CELLS * (missed[cells] ** 2).mean()
        spread = np.sqrt(np.maximum(squares / (cells.sum(0) + _PRIOR_CELLS), 1e-6))
        reach = max(float(np.quantile((missed / spread)[cells], 0.9)) / LEVEL_90, 1e-3)
        return np.asarray(spread * reach, dtype=np.float32)

    inside = np.where(
        half, missed <= LEVEL_90 * spread_of(hidden & ~half), missed <= LEVEL_90 * spread_of(hidden & half)
    )
    return spread_of(hidden), float(inside[hidden].mean()) if hidden.any() else float("nan")


def verdicts(low: pd.Series[float]) -> list[str]:
    """A word for each gene, by the lower end of its r here: good, fair, poor, none, or unchecked."""
    words = np.array(["none", "poor", "fair", "good"])[np.digitize(np.nan_to_num(low), (0.0, 0.3, 0.6))]
    return [str(word) for word in np.where(low.isna(), "unchecked", words)]
