"""A stand-alone conditional MetVAE: no parents, only cancer and site."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from histoscribe.benchmark.generator.baselines.conditions import conditions_of
from histoscribe.benchmark.generator.sampling import Asked, Made, Sampler
from histoscribe.generator.cohort import Cohort
from histoscribe.generator.training.losses import kl_divergence

_BATCH, _HIDDEN, _STEPS, _CODE = 256, 256, 3000, 32


def conditional_vae(train: Cohort, seed: int) -> Sampler:
    """Codes drawn from the prior, decoded with the labels, with the noise that the decoder has learned."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    given = conditions_of(train)
    size, classes = given.points.shape[1], given.labels.shape[1]
    read = nn.Sequential(nn.Linear(size + classes, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, 2 * _CODE))
    write = nn.Sequential(nn.Linear(_CODE + classes, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, size))
    spread = nn.Parameter(torch.zeros(size))
    optimizer = torch.optim.AdamW([*read.parameters(), *write.parameters(), spread], lr=1e-3)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _STEPS)
    for step in range(_STEPS):
        rows = torch.from_numpy(random.integers(len(given.points), size=_BATCH))
        points, labels = given.points[rows], given.labels[rows]
        mean, log_variance = read(torch.cat([points, labels], 1)).chunk(2, dim=1)
        log_variance = log_variance.clamp(-8, 4)
        codes = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        missed = write(torch.cat([codes, labels], 1)) - points
        unlikely = (0.5 * (missed / spread.exp()).square() + spread).sum(1).mean()
        loss = unlikely + min(1.0, step / (0.4 * _STEPS)) * kl_divergence(mean, log_variance)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        fall.step()

    def sample(asked: Asked) -> Made:
        noise = torch.Generator().manual_seed(asked.seed)
        labels = given.encode(asked)
        with torch.inference_mode():
            codes = torch.randn(len(labels), _CODE, generator=noise)
            points = write(torch.cat([codes, labels], 1))
            points = points + torch.randn(points.shape, generator=noise) * spread.exp()
            return given.expand(points, noise)

    return sample
