"""From a standardised table to a trained model, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.imputer.blend import Blend, Rehearsal
from histoscribe.imputer.gaussian import NOISE_INFLATION
from histoscribe.imputer.network import Corrector, identities_from
from histoscribe.imputer.restorer import Restorer
from histoscribe.imputer.training.choosing import GRID, Choice, Lesson, choose
from histoscribe.imputer.training.crossfit import assign_folds, fill_holes, rehearse
from histoscribe.progress import Progress

_FOLDS = 4


@dataclass(frozen=True)
class Settings:
    """What is chosen before training.

    Parameters
    ----------
    factors : int, optional
        Of the Gaussian start, at most a third of the samples; chosen on held-out ones where not given.
    references : int
        Training samples kept in the memory.
    steps : int
        Training steps of the correction; 0 leaves it out.
    seed : int
    device : str
        `cpu`, `cuda`, `mps`, or `auto` for the best there is: where Lightning trains.
    devices : int
        How many of them.
    """

    factors: int | None = None
    references: int = 2048
    steps: int = 600
    seed: int = 0
    device: str = "cpu"
    devices: int = 1


def fit_restorer(
    values: NDArray[np.float32],
    groups: Sequence[str],
    settings: Settings,
    progress: Progress,
    *,
    old: int = 0,
    own: int | None = None,
    checkpoint: Path | None = None,
) -> tuple[Restorer, list[Rehearsal], Choice]:
    """Train a model on a standardised table.

    Parameters
    ----------
    values : ndarray of float32, shape (samples, genes)
        Standardised; NaN where missing.
    groups : sequence of str
        The patient of each sample: never split between learning and weighing.
    old : int
        So many samples, the first ones, are remembered from an earlier model: learned from, never held out,
        and left aside where held-out samples are restored better without them.
    own : int, optional
        So many genes, the first ones, are the table's own; all where not given.
    checkpoint : Path, optional
        Where training keeps its state, to go on from after it was stopped.

    Returns
    -------
    Restorer, the rehearsals that it was weighed by, and what the Gaussian was fitted with
    """
    known = ~np.isnan(values)
    blocks = np.concatenate([np.broadcast_to(part.any(0), part.shape) for part in (known[:old], known[old:])])
    progress.report("fitting the conditional Gaussian")
    torch.manual_seed(settings.seed)
    size = max(1, (len(values) - old) // 3)
    if old:
        values = values.copy()
        values[old:, :own] = fill_holes(values[old:, :own], blocks[old:, :own], size, settings.seed)
    filled = fill_holes(values, blocks, max(1, len(values) // 3), settings.seed)
    folds = np.full(len(values), -1, dtype=np.int64)
    folds[old:] = assign_folds(groups[old:], min(_FOLDS, max(2, len(set(groups[old:])))), settings.seed)
    lesson = Lesson(filled, known, blocks, folds, settings.seed)
    several = len(set(folds[old:].tolist())) > 1
    choice = Choice(max(1, min(settings.factors or GRID[1], len(values) // 3)), NOISE_INFLATION)
    blend, rehearsals, least = Blend(values.shape[1], own), list[Rehearsal](), np.inf
    for tried in choose(lesson, settings.factors, progress) if several else ():
        answers = rehearse(lesson, tried, references=settings.references, progress=progress)
        fitted = Blend(values.shape[1], own)
        if (missed := fitted.fit(answers)) < least:
            choice, blend, rehearsals, least = tried, fitted, answers, missed
    everyone = np.ones(len(values), dtype=bool)
    start = lesson.start(everyone, choice)
    memory = lesson.memory(everyone, choice, settings.references, start)
    corrector = Corrector(identities_from(start.loadings))
    if rehearsals and settings.steps > 0:
        from histoscribe.imputer.training.plan import train_corrector

        held = assign_folds(groups, 6, settings.seed + 1) == 0
        held[:old] = False
        if held.any() and not held[old:].all():
            train_corrector(
                corrector, blend, rehearsals, held, settings=settings, progress=progress,
                checkpoint=checkpoint,
            )  # fmt: skip
    return Restorer(start, memory, blend, corrector).eval(), rehearsals, choice
