"""From a standardised table to a trained model, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.imputer.blend import Blend, Rehearsal
from histoscribe.imputer.choosing import GRID, Choice, Lesson, choose
from histoscribe.imputer.crossfit import assign_folds, fill_holes, rehearse
from histoscribe.imputer.gaussian import NOISE_INFLATION
from histoscribe.imputer.network import Corrector, identities_from
from histoscribe.imputer.reference import ReferenceMemory, choose_references
from histoscribe.imputer.restorer import Restorer
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
        So many samples, the first ones, are remembered from an earlier model: learned from, never held out.
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
    filled = fill_holes(values, blocks, max(1, len(values) // 3), settings.seed)
    folds = np.full(len(values), -1, dtype=np.int64)
    folds[old:] = assign_folds(groups[old:], min(_FOLDS, max(2, len(set(groups[old:])))), settings.seed)
    lesson = Lesson(filled, known, blocks, folds, settings.seed)
    several = len(set(folds[old:].tolist())) > 1
    fallback = Choice(max(1, min(settings.factors or GRID[1], len(values) // 3)), NOISE_INFLATION)
    choice = choose(lesson, settings.factors, progress) if several else fallback
    start = lesson.start(np.ones(len(values), dtype=bool), choice)
    kept = choose_references(folds, settings.references, settings.seed)
    memory = ReferenceMemory(torch.from_numpy(filled[kept]))
    blend = Blend(values.shape[1], own)
    corrector = Corrector(identities_from(start.loadings))
    rehearsals = []
    if several:
        rehearsals = rehearse(lesson, choice, references=settings.references, progress=progress)
        blend.fit(rehearsals)
    if rehearsals and settings.steps > 0:
        from histoscribe.imputer.plan import train_corrector

        held = assign_folds(groups, 6, settings.seed + 1) == 0
        held[:old] = False
        if held.any() and not held[old:].all():
            train_corrector(
                corrector, blend, rehearsals, held, settings=settings, progress=progress,
                checkpoint=checkpoint,
            )  # fmt: skip
    return Restorer(start, memory, blend, corrector).eval(), rehearsals, choice
