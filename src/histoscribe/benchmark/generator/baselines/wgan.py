"""A conditional Wasserstein GAN with gradient penalty (Gulrajani et al., 2017)."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from histoscribe.benchmark.generator.baselines.conditions import conditions_of
from histoscribe.benchmark.generator.sampling import Asked, Made, Sampler
from histoscribe.generator.cohort import Cohort

_BATCH, _NOISE, _HIDDEN = 128, 32, 256
_STEPS, _CRITIC_STEPS, _PENALTY = 2500, 3, 10.0


def wgan(train: Cohort, seed: int) -> Sampler:
    """Noise and labels to components; the critic sees components and labels."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    given = conditions_of(train)
    size, classes = given.points.shape[1], given.labels.shape[1]
    maker, critic = _dense(_NOISE + classes, size), _dense(size + classes, 1)
    making = torch.optim.Adam(maker.parameters(), lr=5e-4, betas=(0.5, 0.9))
    judging = torch.optim.Adam(critic.parameters(), lr=5e-4, betas=(0.5, 0.9))

    def draw() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        rows = torch.from_numpy(random.integers(len(given.points), size=_BATCH))
        labels = given.labels[rows]
        return given.points[rows], maker(torch.cat([torch.randn(_BATCH, _NOISE), labels], 1)), labels

    for _ in range(_STEPS):
        for _ in range(_CRITIC_STEPS):
            real, fake, labels = draw()
            fake = fake.detach()
            share = torch.rand(_BATCH, 1)
            between = (share * real + (1 - share) * fake).requires_grad_()
            judged = critic(torch.cat([between, labels], 1)).sum()
            slope = torch.autograd.grad(judged, between, create_graph=True)[0]
            penalty = _PENALTY * (slope.norm(dim=1) - 1).square().mean()
            away = critic(torch.cat([fake, labels], 1)).mean() - critic(torch.cat([real, labels], 1)).mean()
            judging.zero_grad()
            (away + penalty).backward()
            judging.step()
        _, fake, labels = draw()
        making.zero_grad()
        (-critic(torch.cat([fake, labels], 1)).mean()).backward()
        making.step()

    def sample(asked: Asked) -> Made:
        noise = torch.Generator().manual_seed(asked.seed)
        labels = given.encode(asked)
        with torch.inference_mode():
            drawn = torch.randn(len(labels), _NOISE, generator=noise)
            return given.expand(maker(torch.cat([drawn, labels], 1)), noise)

    return sample


def _dense(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, _HIDDEN), nn.LeakyReLU(0.2), nn.Linear(_HIDDEN, _HIDDEN), nn.LeakyReLU(0.2),
        nn.Linear(_HIDDEN, outputs),
    )  # fmt: skip
