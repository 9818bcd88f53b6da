"""The whole model: Gaussian start, reference memory, blend and learned correction."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from histoscribe.imputer.blend import Blend
from histoscribe.imputer.gaussian import GaussianStart
from histoscribe.imputer.network import Corrector
from histoscribe.imputer.reference import ReferenceMemory

_ROWS = 64


@dataclass(frozen=True, eq=False)
class Answer:
    """What is expected of every gene of every sample, standardised, and how sure that is.

    Parameters
    ----------
    mean, spread : Tensor of float32, shape (samples, genes)
    """

    mean: torch.Tensor
    spread: torch.Tensor


class Restorer(torch.nn.Module):
    """Restores standardised values.

    Parameters
    ----------
    start : GaussianStart
    memory : ReferenceMemory
    blend : Blend
    corrector : Corrector
    """

    def __init__(
        self, start: GaussianStart, memory: ReferenceMemory, blend: Blend, corrector: Corrector
    ) -> None:
        super().__init__()
        self.start, self.memory, self.blend, self.corrector = start, memory, blend, corrector

    def expectations(
        self, values: torch.Tensor, observed: torch.Tensor, offered: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What the Gaussian and the memory expect, and the surprise of each sample."""
        gaussian = self.start.expect(self.start.factors(values, observed))
        completed = torch.where(observed, values, gaussian)
        memory, surprise = self.memory.read(completed, observed, offered)
        return gaussian, memory, surprise

    def forward(self, values: torch.Tensor, observed: torch.Tensor, offered: torch.Tensor) -> Answer:
        """Restore all genes of a batch.

        Parameters
        ----------
        values : Tensor of float32, shape (samples, genes)
            Standardised; what is not observed is ignored.
        observed : Tensor of bool, shape (samples, genes)
        offered : Tensor of bool, shape (genes,)
            Genes of which the whole table has any value.
        """
        gaussian, memory, surprise = self.expectations(values, observed, offered)
        mode = 0 if bool(offered[: self.blend.own].float().mean() > 0.95) else 1
        gate, share, spread = self.blend.look_up(mode, observed, surprise)
        mean = gaussian + gate * (memory - gaussian)
        if bool((self.blend.share > 0).any()):
            self._correct(values, observed, memory - gaussian, share, mean, spread)
        return Answer(mean, spread)

    def _correct(
        self,
        values: torch.Tensor,
        observed: torch.Tensor,
        step: torch.Tensor,
        share: torch.Tensor,
        mean: torch.Tensor,
        spread: torch.Tensor,
    ) -> None:
        """Add the learned correction to `mean` and `spread`, for the genes that anyone lacks."""
        asked = torch.nonzero((~observed).any(0)).squeeze(1)
        told = torch.nonzero(observed.any(0)).squeeze(1)
        for at in range(0, len(values), _ROWS):
            rows = slice(at, at + _ROWS)
            latents = self.corrector.encode(values[rows][:, told], observed[rows][:, told], told)
            shift, widening = self.corrector.decode(latents, asked, step[rows][:, asked])
            mean[rows, asked] += share[rows] * shift
            spread[rows, asked] *= (share[rows] * widening).exp()
