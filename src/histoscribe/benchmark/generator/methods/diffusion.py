"""A small conditional diffusion model (Ho et al., 2020) on principal components."""

from __future__ import annotations

import torch
from torch import nn

from histoscribe.benchmark.generator.bed import Profiles, Request, Sampler, Seed
from histoscribe.benchmark.generator.conditions import conditions_of
from histoscribe.benchmark.methods import Method
from histoscribe.benchmark.training import descend, seeded

_TIMES, _STEPS, _BATCH, _HIDDEN = 100, 4000, 256, 256


def diffusion(seed: Seed) -> Sampler:
    """Whitened components denoised in 100 steps."""
    with seeded(seed.seed) as random:
        given = conditions_of(seed.train)
        points = given.points
        rank, classes = points.shape[1], given.labels.shape[1]
        kept = torch.cumprod(1 - torch.linspace(1e-3, 0.12, _TIMES), 0)
        denoiser = nn.Sequential(
            nn.Linear(rank + classes + 16, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.SiLU(),
            nn.Linear(_HIDDEN, rank),
        )  # fmt: skip

        def loss(step: int) -> torch.Tensor:
            rows = torch.from_numpy(random.integers(len(points), size=_BATCH))
            time = torch.from_numpy(random.integers(_TIMES, size=_BATCH))
            noise = torch.randn(_BATCH, rank)
            share = kept[time][:, None]
            noisy = share.sqrt() * points[rows] + (1 - share).sqrt() * noise
            guess: torch.Tensor = denoiser(torch.cat([noisy, given.labels[rows], _waves(time)], 1))
            return (guess - noise).square().mean()

        optimiser = torch.optim.AdamW(denoiser.parameters(), lr=1e-3)
        descend(optimiser, loss, _STEPS, falling=True)

    def sample(request: Request) -> Profiles:
        noise = torch.Generator().manual_seed(request.seed)
        labels = given.encode(request)
        count = len(labels)
        with torch.inference_mode():
            now = torch.randn(count, rank, generator=noise)
            for time in range(_TIMES - 1, -1, -1):
                step = torch.full((count,), time)
                guess = denoiser(torch.cat([now, labels, _waves(step)], 1))
                before = kept[time - 1] if time else torch.tensor(1.0)
                clean = (now - (1 - kept[time]).sqrt() * guess) / kept[time].sqrt()
                clean = clean.clamp(-6, 6)
                alpha = kept[time] / before
                mean = (before.sqrt() * (1 - alpha) * clean + alpha.sqrt() * (1 - before) * now) / (
                    1 - kept[time]
                )
                spread = ((1 - before) / (1 - kept[time]) * (1 - alpha)).sqrt()
                now = mean + spread * torch.randn(count, rank, generator=noise)
            return given.expand(now, noise)

    return sample


def _waves(time: torch.Tensor) -> torch.Tensor:
    """Sines and cosines of the time, shape (samples, 16)."""
    angles = time[:, None] / _TIMES * torch.pi * 2.0 ** torch.arange(8)
    return torch.cat([angles.sin(), angles.cos()], 1)


METHODS = (
    Method(
        "diffusion", ("generator semi-synthetic",), diffusion,
        depends=("histoscribe.benchmark.generator.conditions",),
    ),
)  # fmt: skip
