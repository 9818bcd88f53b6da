"""From a standardised table to a trained model, step by step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from histoscribe.imputer.gates import Gates, Rehearsal
from histoscribe.imputer.gaussian import NOISE_INFLATION
from histoscribe.imputer.network import Corrector, identities_from
from histoscribe.imputer.restorer import Restorer
from histoscribe.imputer.settings import ImputerSettings
from histoscribe.imputer.training.filled import GaussianOptions, assign_folds, fill_table
from histoscribe.imputer.training.rehearsal import GRID, choose, rehearse
from histoscribe.imputer.training.table import TrainingTable
from histoscribe.models.reproducible import seeded
from histoscribe.progress import Progress

_PARTS = 6


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

    Parameters
    ----------
    checkpoint : Path, optional
        Where training keeps its state, to go on from after it was stopped.

    Returns
    -------
    Restorer, the rehearsals that it was weighed by, and what the Gaussian was fitted with
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

        held = assign_folds(table.groups, _PARTS, seed + 1) == 0
        held[: table.old] = False
        if held.any() and not held[table.old :].all():
            options = TrainingOptions(
                "training the correction", steps=settings.steps, seed=seed, seed_each_step=True,
                device=device, devices=settings.devices, clip=1.0,
            )  # fmt: skip
            train_corrector(
                corrector, gates, rehearsals, held, options=options, progress=progress, checkpoint=checkpoint
            )
    return Restorer(start, memory, gates, corrector).eval(), rehearsals, choice
