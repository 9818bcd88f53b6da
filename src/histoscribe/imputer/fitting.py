"""From a standardised table to a trained model, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.imputer.blend import Blend, Rehearsal
from histoscribe.imputer.crossfit import assign_folds, fill_by_factors, rehearse
from histoscribe.imputer.gaussian import GaussianStart, fit_factors
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
    factors : int
        Of the Gaussian start; at most a third of the samples.
    references : int
        Training samples kept in the memory.
    steps : int
        Training steps of the correction; 0 leaves it out.
    seed : int
    devices : int
        Processes that Lightning trains on.
    """

    factors: int = 200
    references: int = 2048
    steps: int = 600
    seed: int = 0
    devices: int = 1


def fit_restorer(
    values: NDArray[np.float32], groups: Sequence[str], settings: Settings, progress: Progress
) -> tuple[Restorer, list[Rehearsal]]:
    """Train a model on a standardised table.

    Parameters
    ----------
    values : ndarray of float32, shape (samples, genes)
        Standardised; NaN where missing.
    groups : sequence of str
        The patient of each sample: never split between learning and weighing.

    Returns
    -------
    Restorer, and the rehearsals that it was weighed by
    """
    known = ~np.isnan(values)
    factors = max(1, min(settings.factors, len(values) // 3))
    progress.report("fitting the conditional Gaussian")
    torch.manual_seed(settings.seed)
    filled = fill_by_factors(values, known, factors, settings.seed)
    start = GaussianStart(*map(torch.from_numpy, fit_factors(filled, factors, seed=settings.seed)))
    kept = choose_references(len(filled), settings.references, settings.seed)
    memory = ReferenceMemory(torch.from_numpy(filled)[kept])
    blend = Blend(values.shape[1])
    corrector = Corrector(identities_from(start.loadings))
    folds = assign_folds(groups, min(_FOLDS, max(2, len(set(groups)))), settings.seed)
    rehearsals = []
    if len(set(folds.tolist())) > 1:
        rehearsals = rehearse(
            filled, known, folds, factors=factors, references=settings.references, seed=settings.seed,
            progress=progress,
        )  # fmt: skip
        blend.fit(rehearsals)
    if rehearsals and settings.steps > 0:
        from histoscribe.imputer.plan import train_corrector

        held = assign_folds(groups, 6, settings.seed + 1) == 0
        if held.any() and not held.all():
            train_corrector(
                corrector, blend, rehearsals, held, steps=settings.steps, seed=settings.seed,
                devices=settings.devices, progress=progress,
            )  # fmt: skip
    return Restorer(start, memory, blend, corrector).eval(), rehearsals
