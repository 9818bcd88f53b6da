"""A stand-alone conditional MetVAE: no parents, only cancer and site."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from histoscribe.evaluation.generation.baselines.conditions import conditions_of
from histoscribe.evaluation.generation.sampling import Asked, Made, Sampler
from histoscribe.generator.cohort import Cohort
from histoscribe.generator.losses import kl_divergence
from histoscribe.generator.network import CODE
from histoscribe.generator.texture import Texture

_BATCH, _HIDDEN, _STEPS = 128, 256, 800


def conditional_vae(train: Cohort, seed: int) -> Sampler:
    """Codes drawn from the prior, decoded with the labels, residuals from the generator's own noise model.

    Its sizes are those of the generator's MetVAE; it gets the noise so that it is not told apart by its
    smoothness alone.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    given = conditions_of(train)
    genes, classes = given.profiles.shape[1], given.labels.shape[1]
    read = nn.Sequential(nn.Linear(genes + classes, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, 2 * CODE))
    write = nn.Sequential(nn.Linear(CODE + classes, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, genes))
    optimizer = torch.optim.AdamW([*read.parameters(), *write.parameters()], lr=1e-3, weight_decay=1e-3)
    for step in range(_STEPS):
        rows = torch.from_numpy(random.integers(len(given.profiles), size=_BATCH))
        profiles, labels = given.profiles[rows], given.labels[rows]
        mean, log_variance = read(torch.cat([profiles, labels], 1)).chunk(2, dim=1)
        codes = mean + torch.randn_like(mean) * (0.5 * log_variance.clamp(-8, 4)).exp()
        error = (write(torch.cat([codes, labels], 1)) - profiles).square().mean()
        warm = min(1.0, step / (0.4 * _STEPS))
        loss = error + warm * 0.3 * kl_divergence(mean, log_variance.clamp(-8, 4)) / genes
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.inference_mode():
        mean = read(torch.cat([given.profiles, given.labels], 1)).chunk(2, dim=1)[0]
        left = (given.profiles - write(torch.cat([mean, given.labels], 1))).numpy()
    texture = Texture(genes)
    texture.fit(left, left)

    def sample(asked: Asked) -> Made:
        noise = torch.Generator().manual_seed(asked.seed)
        labels = given.encode(asked.cancers, asked.sites)
        with torch.inference_mode():
            codes = torch.randn(len(labels), CODE, generator=noise)
            units = write(torch.cat([codes, labels], 1)) + texture.draw(len(labels), noise)
        return Made(given.standard.unscale(units.numpy()))

    return sample
