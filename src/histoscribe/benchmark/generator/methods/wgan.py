"""A conditional Wasserstein GAN with gradient penalty (Gulrajani et al., 2017)."""

from __future__ import annotations

import torch
from torch import nn

from histoscribe.benchmark.generator.bed import Profiles, Request, Sampler, Seed
from histoscribe.benchmark.generator.conditions import conditions_of
from histoscribe.benchmark.methods import Method
from histoscribe.benchmark.training import descend, seeded

_BATCH, _NOISE, _HIDDEN = 128, 32, 256
_STEPS, _CRITIC_STEPS, _PENALTY = 2500, 3, 10.0


def wgan(seed: Seed) -> Sampler:
    """Noise and labels to components; the critic sees components and labels."""
    with seeded(seed.seed) as random:
        given = conditions_of(seed.train)
        size, classes = given.points.shape[1], given.labels.shape[1]
        maker, critic = _dense(_NOISE + classes, size), _dense(size + classes, 1)
        making = torch.optim.Adam(maker.parameters(), lr=5e-4, betas=(0.5, 0.9))
        judging = torch.optim.Adam(critic.parameters(), lr=5e-4, betas=(0.5, 0.9))

        def draw() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            rows = torch.from_numpy(random.integers(len(given.points), size=_BATCH))
            labels = given.labels[rows]
            return given.points[rows], maker(torch.cat([torch.randn(_BATCH, _NOISE), labels], 1)), labels

        def judged(points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = critic(torch.cat([points, labels], 1))
            return result

        def critic_loss(step: int) -> torch.Tensor:
            real, fake, labels = draw()
            fake = fake.detach()
            share = torch.rand(_BATCH, 1)
            between = (share * real + (1 - share) * fake).requires_grad_()
            slope = torch.autograd.grad(judged(between, labels).sum(), between, create_graph=True)[0]
            penalty: torch.Tensor = _PENALTY * (slope.norm(dim=1) - 1).square().mean()
            away: torch.Tensor = judged(fake, labels).mean() - judged(real, labels).mean()
            return away + penalty

        def maker_loss(step: int) -> torch.Tensor:
            _, fake, labels = draw()
            return -judged(fake, labels).mean()

        for _ in range(_STEPS):
            descend(judging, critic_loss, _CRITIC_STEPS)
            descend(making, maker_loss, 1)

    def sample(request: Request) -> Profiles:
        noise = torch.Generator().manual_seed(request.seed)
        labels = given.encode(request)
        with torch.inference_mode():
            drawn = torch.randn(len(labels), _NOISE, generator=noise)
            return given.expand(maker(torch.cat([drawn, labels], 1)), noise)

    return sample


def _dense(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, _HIDDEN), nn.LeakyReLU(0.2), nn.Linear(_HIDDEN, _HIDDEN), nn.LeakyReLU(0.2),
        nn.Linear(_HIDDEN, outputs),
    )  # fmt: skip


METHODS = (
    Method(
        "wgan-gp",
        ("generator semi-synthetic",),
        wgan,
        depends=("histoscribe.benchmark.generator.conditions",),
    ),
)
