"""The whole model: Gaussian start, reference memory, gates and learned correction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from histoscribe.arrays import Floats, Mask, Numbers
from histoscribe.errors import ModelError
from histoscribe.features.device import one_thread
from histoscribe.imputer.gates import Gates
from histoscribe.imputer.gaussian import GaussianStart
from histoscribe.imputer.network import WIDTH, Corrector
from histoscribe.imputer.reference import ReferenceMemory
from histoscribe.imputer.units import standard_of
from histoscribe.models.reproducible import seeded
from histoscribe.models.standard import ANEW, Standard, fill
from histoscribe.progress import Progress

HALVED = ("memory.samples", "blend.spread")
"""Tensors that are saved in half precision."""

_LARGEST = 200_000
_CHUNK = 256
_ROWS = 64


@dataclass(frozen=True, eq=False)
class ImputerState:
    """What an imputer has learned: its networks, and the units that they compute in."""

    restorer: Restorer
    standard: Standard


class Restorer(torch.nn.Module):
    """Restores standardised values."""

    def __init__(
        self, start: GaussianStart, memory: ReferenceMemory, gates: Gates, corrector: Corrector
    ) -> None:
        super().__init__()
        self.start, self.memory, self.blend, self.corrector = start, memory, gates, corrector

    def forward(self, values: Tensor, observed: Tensor, offered: Tensor) -> tuple[Tensor, Tensor]:
        """Restore all genes of a batch: mean and spread, standardised, shape (samples, genes).

        `values` and `observed` (samples, genes): standardised, and what of them may be looked at; `offered`
        (genes,): those of which the whole table has any value.
        """
        gaussian = self.start.expect(self.start.factors(values, observed))
        memory, surprise = self.memory.read(torch.where(observed, values, gaussian), observed, offered)
        mode = 0 if bool(offered[: self.blend.own].float().mean() > 0.95) else 1
        gate, share, spread = self.blend.look_up(mode, observed, surprise)
        mean = gaussian + gate * (memory - gaussian)
        if bool((self.blend.share > 0).any()):  # the learned correction, for the genes that anyone lacks
            step = memory - gaussian
            asked = torch.nonzero((~observed).any(0)).squeeze(1)
            told = torch.nonzero(observed.any(0)).squeeze(1)
            for at in range(0, len(values), _ROWS):
                rows = slice(at, at + _ROWS)
                latents = self.corrector.encode(values[rows][:, told], observed[rows][:, told], told)
                shift, widening = self.corrector.decode(latents, asked, step[rows][:, asked])
                mean[rows, asked] += share[rows] * shift
                spread[rows, asked] *= (share[rows] * widening).exp()
        return mean, spread


def rebuild(
    tensors: Mapping[str, NDArray[Any]], genes: tuple[str, ...], settings: dict[str, Any], where: str | Path
) -> ImputerState:
    """Make a saved model again, checking every shape.

    Raises `ModelError` if the card's settings or the tensors do not fit together.
    """
    try:
        factors, references = int(settings["factors"]), int(settings["references"])
        scale, own = str(settings["scale"]), int(settings.get("own", len(genes)))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the card's settings lack {error}", where=where, remedy=ANEW) from error
    count = len(genes)
    if not (0 < factors < 10_000 and 0 < references < 1_000_000 and 0 < own <= count < _LARGEST):
        raise ModelError("the card's sizes are impossible", where=where, remedy=ANEW)
    with seeded(0):  # layers draw their first weights
        restorer = Restorer(
            GaussianStart(torch.zeros(count, factors), torch.ones(count)),
            ReferenceMemory(torch.zeros(references, count)),
            Gates(count, own),
            Corrector(torch.zeros(count, WIDTH)),
        )
    mean, sd = fill(restorer, tensors, count, where=where)
    if not (restorer.start.noise > 0).all():
        raise ModelError("a noise is not above zero", where=where, remedy=ANEW)
    return ImputerState(restorer.eval(), standard_of(genes, mean, sd, scale))


def restore_all(restorer: Restorer, values: Floats, progress: Progress) -> tuple[Floats, Floats]:
    """Mean and spread of every gene, shape (samples, genes), standardised; NaN where nothing is known."""
    means, spreads = np.full_like(values, np.nan), np.full_like(values, np.nan)
    offered = torch.from_numpy(~np.isnan(values).all(0))
    for rows, some, known in _chunks(values, "restoring", progress):
        with torch.inference_mode():
            mean, spread = restorer(some, known, offered)
        means[rows], spreads[rows] = mean.numpy(), spread.numpy()
    return means, spreads


@one_thread()
def summarise(restorer: Restorer, values: Floats) -> Floats:
    """The expected factors of each sample, shape (samples, factors); NaN where nothing is known."""
    result = np.full((len(values), restorer.start.loadings.shape[1]), np.nan, dtype=np.float32)
    for rows, some, known in _chunks(values, "summarising", Progress()):
        with torch.inference_mode():
            result[rows] = restorer.start.factors(some, known).numpy()
    return result


def explain(
    restorer: Restorer, values: Floats, asked: int, genes: Sequence[str], progress: Progress
) -> pd.DataFrame:
    """Value times derivative of a restored gene with respect to every observed one, samples × observed genes.

    Genes come in falling order of the mean absolute weight; NaN for samples of which nothing is known.

    `values` (samples, genes): standardised, NaN where not known; `asked`: which gene of the model, whose own
    values are hidden.
    """
    hidden = values.copy()
    hidden[:, asked] = np.nan
    there: Mask = np.asarray(~np.isnan(hidden).all(0))
    weights = np.full((len(hidden), int(there.sum())), np.nan, dtype=np.float32)
    for rows, some, known in _chunks(hidden, "tracing what carried the gene", progress):
        some.requires_grad_()
        mean, _ = restorer(some, known, torch.from_numpy(there))
        (slope,) = torch.autograd.grad(mean[:, asked].sum(), some)
        weights[rows] = (slope * some).detach().numpy()[:, there]
    frame = pd.DataFrame(weights, columns=np.asarray(genes)[there])
    order = np.argsort(-np.nan_to_num(frame.abs().mean().to_numpy()), kind="stable")
    return frame.iloc[:, order]


def _chunks(values: Floats, message: str, progress: Progress) -> Iterator[tuple[Numbers, Tensor, Tensor]]:
    """Rows with any value, their values and mask; those of one pattern together, as it is solved once."""
    known = ~np.isnan(values)
    rows = np.flatnonzero(known.any(1))
    _, which = np.unique(np.packbits(known[rows], axis=1), axis=0, return_inverse=True)
    rows = rows[np.argsort(which.reshape(-1), kind="stable")]
    for at in range(0, len(rows), _CHUNK):
        progress.report(message, at, len(rows))
        some = rows[at : at + _CHUNK]
        yield some, torch.from_numpy(np.nan_to_num(values[some])), torch.from_numpy(known[some])
    progress.report(message, len(rows), len(rows))
