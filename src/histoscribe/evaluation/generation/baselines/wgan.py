"""A conditional Wasserstein GAN with gradient penalty (Gulrajani et al., 2017)."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from histoscribe.evaluation.generation.baselines.conditions import conditions_of
from histoscribe.evaluation.generation.sampling import Asked, Made, Sampler
from histoscribe.generator.cohort import Cohort

_BATCH, _NOISE, _HIDDEN = 64, 64, 256
_STEPS, _CRITIC_STEPS, _PENALTY = 600, 3, 10.0


def wgan(train: Cohort, seed: int) -> Sampler:
    """Noise and labels to profile; the critic sees profile and labels."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    given = conditions_of(train)
    genes, classes = given.profiles.shape[1], given.labels.shape[1]
    maker = nn.Sequential(
        nn.Linear(_NOISE + classes, _HIDDEN), nn.LeakyReLU(0.2), nn.Linear(_HIDDEN, _HIDDEN),
        nn.LeakyReLU(0.2), nn.Linear(_HIDDEN, genes),
    )  # fmt: skip
    critic = nn.Sequential(
        nn.Linear(genes + classes, _HIDDEN), nn.LeakyReLU(0.2), nn.Linear(_HIDDEN, 64), nn.LeakyReLU(0.2),
        nn.Linear(64, 1),
    )  # fmt: skip
    making = torch.optim.Adam(maker.parameters(), lr=5e-4, betas=(0.5, 0.9))
    judging = torch.optim.Adam(critic.parameters(), lr=5e-4, betas=(0.5, 0.9))

    def draw() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        rows = torch.from_numpy(random.integers(len(given.profiles), size=_BATCH))
        labels = given.labels[rows]
        return given.profiles[rows], maker(torch.cat([torch.randn(_BATCH, _NOISE), labels], 1)), labels

    for _ in range(_STEPS):
        for _ in range(_CRITIC_STEPS):
            real, fake, labels = draw()
            fake = fake.detach()
            share = torch.rand(_BATCH, 1)
            between = (share * real + (1 - share) * fake).requires_grad_()
            slope = torch.autograd.grad(
                critic(torch.cat([between, labels], 1)).sum(), between, create_graph=True
            )[0]
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
        labels = given.encode(asked.cancers, asked.sites)
        with torch.inference_mode():
            units = maker(torch.cat([torch.randn(len(labels), _NOISE, generator=noise), labels], 1))
        return Made(given.standard.unscale(units.numpy()))

    return sample
