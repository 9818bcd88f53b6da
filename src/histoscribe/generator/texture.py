"""What the code leaves out of a profile: the parents' own detail, and the rest drawn at random."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

FACTORS = 48
_KEPT = 0.85


class Texture(torch.nn.Module):
    """Residuals of generated profiles, as large in each gene as those of real metastases.

    A decoder's output is smoother than tissue. A generated profile gets back what its parents' linear mixture
    has beyond the decoder, matched in mean and size to what real metastases have beyond it, and a part drawn
    from a factor model of the real residuals.

    Parameters
    ----------
    genes : int
    """

    offset: torch.Tensor
    parent_offset: torch.Tensor
    parent_scale: torch.Tensor
    factors: torch.Tensor
    noise: torch.Tensor

    def __init__(self, genes: int) -> None:
        super().__init__()
        for name in ("offset", "parent_offset", "noise"):
            self.register_buffer(name, torch.zeros(genes))
        self.register_buffer("parent_scale", torch.ones(genes))
        self.register_buffer("factors", torch.zeros(FACTORS, genes))

    def fit(self, real: NDArray[np.float32], mixtures: NDArray[np.float32]) -> None:
        """Learn from residuals of real metastases and of training mixtures, (samples, genes), in units."""
        self.offset.copy_(torch.from_numpy(real.mean(0)))
        self.parent_offset.copy_(torch.from_numpy(mixtures.mean(0)))
        ratio = real.std(0) / np.maximum(mixtures.std(0), 1e-3)
        self.parent_scale.copy_(torch.from_numpy(np.clip(ratio, 0.2, 2.0)))
        centred = torch.from_numpy(real - real.mean(0))
        rank = min(FACTORS, len(real) - 1, real.shape[1])
        _, strengths, axes = torch.svd_lowrank(centred, q=rank, niter=2)
        self.factors.zero_()
        self.factors[: len(strengths)] = (axes * strengths).T / max(len(real) - 1, 1) ** 0.5
        left = centred.square().mean(0) - self.factors.square().sum(0)
        self.noise.copy_(left.clamp_min(0).sqrt())

    def forward(self, parents: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Residuals to add to decoded profiles, in units.

        Parameters
        ----------
        parents : Tensor, shape (samples, genes)
            Residuals of the parents' linear mixtures.
        generator : torch.Generator
        """
        own: torch.Tensor = (parents - self.parent_offset) * self.parent_scale
        drawn = self.draw(len(parents), generator) - self.offset
        residual: torch.Tensor = self.offset + _KEPT * own + (1 - _KEPT**2) ** 0.5 * drawn
        return residual

    def draw(self, samples: int, generator: torch.Generator) -> torch.Tensor:
        """Residuals from the factor model alone, shape (samples, genes), in units."""
        common = torch.randn(samples, FACTORS, generator=generator) @ self.factors
        single = torch.randn(samples, len(self.noise), generator=generator) * self.noise
        return self.offset + common + single
