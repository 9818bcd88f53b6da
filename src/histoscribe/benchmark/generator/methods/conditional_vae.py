"""A stand-alone conditional MetVAE: no parents, only cancer and site."""

from __future__ import annotations

import torch
from torch import nn

from histoscribe.benchmark.generator.bed import Profiles, Request, Sampler, Seed
from histoscribe.benchmark.generator.conditions import conditions_of
from histoscribe.benchmark.methods import Method
from histoscribe.benchmark.training import descend, seeded
from histoscribe.generator.training.losses import kl_divergence

_BATCH, _HIDDEN, _STEPS, _CODE = 256, 256, 3000, 32


def conditional_vae(seed: Seed) -> Sampler:
    """Codes drawn from the prior, decoded with the labels, with the noise that the decoder has learned."""
    with seeded(seed.seed) as random:
        given = conditions_of(seed.train)
        size, classes = given.points.shape[1], given.labels.shape[1]
        read = nn.Sequential(nn.Linear(size + classes, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, 2 * _CODE))
        write = nn.Sequential(nn.Linear(_CODE + classes, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, size))
        spread = nn.Parameter(torch.zeros(size))

        def loss(step: int) -> torch.Tensor:
            rows = torch.from_numpy(random.integers(len(given.points), size=_BATCH))
            points, labels = given.points[rows], given.labels[rows]
            mean, log_variance = read(torch.cat([points, labels], 1)).chunk(2, dim=1)
            log_variance = log_variance.clamp(-8, 4)
            codes = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
            missed = write(torch.cat([codes, labels], 1)) - points
            unlikely: torch.Tensor = (0.5 * (missed / spread.exp()).square() + spread).sum(1).mean()
            return unlikely + min(1.0, step / (0.4 * _STEPS)) * kl_divergence(mean, log_variance)

        optimiser = torch.optim.AdamW([*read.parameters(), *write.parameters(), spread], lr=1e-3)
        descend(optimiser, loss, _STEPS, falling=True)

    def sample(request: Request) -> Profiles:
        noise = torch.Generator().manual_seed(request.seed)
        labels = given.encode(request)
        with torch.inference_mode():
            codes = torch.randn(len(labels), _CODE, generator=noise)
            points = write(torch.cat([codes, labels], 1))
            points = points + torch.randn(points.shape, generator=noise) * spread.exp()
            return given.expand(points, noise)

    return sample


METHODS = (
    Method(
        "conditional-vae", ("generator semi-synthetic",), conditional_vae,
        depends=("histoscribe.benchmark.generator.conditions",),
    ),
)  # fmt: skip
