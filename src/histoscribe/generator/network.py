"""The networks of MetGen: MetVAE, the source encoder, the mixer of their codes, and what codes leave out."""

import numpy as np
import torch
from torch import Tensor, nn

from histoscribe.arrays import Floats

CODE = 64
FACTORS = 48
_HIDDEN = 256
_MIXED = 16
_KEPT = 0.85


class _Reading(nn.Module):
    """From standardised profiles to mean codes: a linear map that starts from `directions`, and a correction.

    `directions` (genes, CODE): gene loadings per unit of code; codes of the training samples have unit
    variance, and mean the same for every seed.
    """

    def __init__(self, directions: Tensor) -> None:
        super().__init__()
        genes = len(directions)
        self.project = nn.Linear(genes, CODE)
        self.read = nn.Sequential(nn.Linear(genes, _HIDDEN), nn.GELU(), nn.Dropout(0.2))
        self.mean = nn.Linear(_HIDDEN, CODE)
        with torch.no_grad():
            self.project.weight.copy_(torch.linalg.pinv(directions))
            self.mean.weight.mul_(0.1)
            for layer in (self.project, self.mean):
                nn.init.zeros_(layer.bias)


class MetVAE(_Reading):
    """Variational autoencoder of metastases.

    The decoder is a linear map, which gives a component its gene loadings, plus a small correction; `cancers`
    and `sites` are the classes of the two heads.
    """

    def __init__(self, directions: Tensor, cancers: int, sites: int) -> None:
        super().__init__(directions)
        genes = len(directions)
        self.spread = nn.Linear(_HIDDEN, CODE)
        self.linear = nn.Linear(CODE, genes)
        last = nn.Linear(_HIDDEN, genes)
        self.bend = nn.Sequential(nn.Linear(CODE, _HIDDEN), nn.GELU(), last)
        self.cancer = _head(cancers)
        self.site = _head(sites)
        with torch.no_grad():
            self.linear.weight.copy_(directions)
            for layer in (self.spread, last):
                layer.weight.mul_(0.1)
            nn.init.constant_(self.spread.bias, -3.0)
            for layer in (self.linear, last):
                nn.init.zeros_(layer.bias)

    def encode(self, profiles: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the code, shape (samples, CODE), from standardised profiles."""
        read = self.read(profiles)
        return self.project(profiles) + self.mean(read), self.spread(read).clamp(-8.0, 2.0)

    def decode(self, codes: Tensor) -> Tensor:
        """Standardised profiles, shape (samples, genes)."""
        profiles: Tensor = self.linear(codes) + self.bend(codes)
        return profiles


class SourceEncoder(_Reading):
    """Codes of primaries and of normal tissues: one network, told which of the two it reads."""

    def __init__(self, directions: Tensor) -> None:
        super().__init__(directions)
        self.role = nn.Parameter(torch.zeros(2, _HIDDEN))

    def forward(self, profiles: Tensor, role: int) -> Tensor:
        """Codes, shape (samples, CODE), of standardised profiles; role 0 is primary, 1 normal tissue."""
        codes: Tensor = self.project(profiles) + self.mean(self.read(profiles) + self.role[role])
        return codes


class Mixer(nn.Module):
    """Two codes as two channels: component k of the mixture depends on component k of its parents.

    1 × 1 convolutions over the channels primary, normal tissue and purity, added to the purity-weighted
    mean of the parents' codes, then a scale and a shift of each component's own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(5, _MIXED, 1),
            nn.GELU(),
            nn.Conv1d(_MIXED, _MIXED, 1),
            nn.GELU(),
            nn.Conv1d(_MIXED, 1, 1),
        )
        self.bend = nn.Parameter(torch.full((CODE,), 0.1))
        self.shift = nn.Parameter(torch.zeros(CODE))

    def forward(self, primary: Tensor, normal: Tensor, purity: Tensor) -> Tensor:
        """Mixed codes of parents (samples, CODE) at purities (samples,), shape (samples, CODE)."""
        share = purity[:, None].expand_as(primary)
        mean = share * primary + (1 - share) * normal
        channels = torch.stack(
            [primary, normal, share, mean, share * (1 - share) * (primary - normal)], dim=1
        )
        mixed: Tensor = mean + self.bend * self.layers(channels).squeeze(1) + self.shift
        return mixed


class Texture(nn.Module):
    """Residuals of generated profiles, as large in each gene as those of real metastases.

    A decoder's output is smoother than tissue. A generated profile gets back what its parents' linear mixture
    has beyond the decoder, matched in mean and size to what real metastases have beyond it, and a part drawn
    from a factor model of the real residuals.
    """

    offset: Tensor
    parent_offset: Tensor
    parent_scale: Tensor
    factors: Tensor
    noise: Tensor

    def __init__(self, genes: int) -> None:
        super().__init__()
        for name in ("offset", "parent_offset", "noise"):
            self.register_buffer(name, torch.zeros(genes))
        self.register_buffer("parent_scale", torch.ones(genes))
        self.register_buffer("factors", torch.zeros(FACTORS, genes))

    def fit(self, real: Floats, mixtures: Floats) -> None:
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

    def forward(self, parents: Tensor, generator: torch.Generator) -> Tensor:
        """Residuals to add to decoded profiles, in units, from those of the parents' linear mixtures.

        Both have shape (samples, genes).
        """
        own: Tensor = (parents - self.parent_offset) * self.parent_scale
        drawn = self.draw(len(parents), generator) - self.offset
        residual: Tensor = self.offset + _KEPT * own + (1 - _KEPT**2) ** 0.5 * drawn
        return residual

    def draw(self, samples: int, generator: torch.Generator) -> Tensor:
        """Residuals from the factor model alone, shape (samples, genes), in units."""
        common = torch.randn(samples, FACTORS, generator=generator) @ self.factors
        single = torch.randn(samples, len(self.noise), generator=generator) * self.noise
        return self.offset + common + single


def _head(classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(CODE, 64), nn.GELU(), nn.Dropout(0.2), nn.Linear(64, classes))
