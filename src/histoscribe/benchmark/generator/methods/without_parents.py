"""Baselines without parents: a conditional MetVAE, a Wasserstein GAN and a diffusion model.

All three model the same 64 whitened principal components of training metastases from cancer and site; what
these leave out is drawn from the generator's own noise model, so that none is told apart by its smoothness.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from histoscribe.benchmark.generator.bed import Profiles, Request, Sampler, Seed
from histoscribe.benchmark.methods import Method
from histoscribe.benchmark.training import descend
from histoscribe.generator.cohort import Cohort
from histoscribe.generator.metgen import learn_standard
from histoscribe.generator.network import Texture
from histoscribe.generator.training.stages import kl_divergence
from histoscribe.models.reproducible import seeded
from histoscribe.models.standard import Standard

_COMPONENTS, _HIDDEN = 64, 256
_VAE_BATCH, _VAE_STEPS, _CODE = 256, 3000, 32
_WGAN_BATCH, _WGAN_STEPS, _CRITIC_STEPS, _PENALTY, _NOISE = 128, 2500, 3, 10.0, 32
_DIFFUSION_BATCH, _DIFFUSION_STEPS, _TIMES = 256, 4000, 100


def conditional_vae(seed: Seed) -> Sampler:
    """Codes drawn from the prior, decoded with the labels, with the noise that the decoder has learned."""
    random = np.random.default_rng(seed.seed)
    with seeded(seed.seed):
        given = conditions_of(seed.bed.train)
        size, classes = given.points.shape[1], given.labels.shape[1]
        read = nn.Sequential(nn.Linear(size + classes, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, 2 * _CODE))
        write = nn.Sequential(nn.Linear(_CODE + classes, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, size))
        spread = nn.Parameter(torch.zeros(size))

        def loss(step: int) -> Tensor:
            rows = torch.from_numpy(random.integers(len(given.points), size=_VAE_BATCH))
            points, labels = given.points[rows], given.labels[rows]
            mean, log_variance = read(torch.cat([points, labels], 1)).chunk(2, dim=1)
            log_variance = log_variance.clamp(-8, 4)
            codes = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
            missed = write(torch.cat([codes, labels], 1)) - points
            unlikely: Tensor = (0.5 * (missed / spread.exp()).square() + spread).sum(1).mean()
            return unlikely + min(1.0, step / (0.4 * _VAE_STEPS)) * kl_divergence(mean, log_variance)

        optimiser = torch.optim.AdamW([*read.parameters(), *write.parameters(), spread], lr=1e-3)
        descend(optimiser, loss, _VAE_STEPS, falling=True)

    def draw(labels: Tensor, noise: torch.Generator) -> Tensor:
        codes = torch.randn(len(labels), _CODE, generator=noise)
        points: Tensor = write(torch.cat([codes, labels], 1))
        return points + torch.randn(points.shape, generator=noise) * spread.exp()

    return given.sampler(draw)


def wgan(seed: Seed) -> Sampler:
    """Wasserstein GAN with gradient penalty (Gulrajani et al., 2017) on components and labels."""
    random = np.random.default_rng(seed.seed)
    with seeded(seed.seed):
        given = conditions_of(seed.bed.train)
        size, classes = given.points.shape[1], given.labels.shape[1]
        leaky = nn.LeakyReLU(0.2)
        maker, critic = _dense(_NOISE + classes, size, leaky), _dense(size + classes, 1, leaky)
        making = torch.optim.Adam(maker.parameters(), lr=5e-4, betas=(0.5, 0.9))
        judging = torch.optim.Adam(critic.parameters(), lr=5e-4, betas=(0.5, 0.9))

        def draw() -> tuple[Tensor, Tensor, Tensor]:
            rows = torch.from_numpy(random.integers(len(given.points), size=_WGAN_BATCH))
            labels = given.labels[rows]
            return given.points[rows], maker(torch.cat([torch.randn(_WGAN_BATCH, _NOISE), labels], 1)), labels

        def judged(points: Tensor, labels: Tensor) -> Tensor:
            result: Tensor = critic(torch.cat([points, labels], 1))
            return result

        def critic_loss(step: int) -> Tensor:
            real, fake, labels = draw()
            fake = fake.detach()
            share = torch.rand(_WGAN_BATCH, 1)
            between = (share * real + (1 - share) * fake).requires_grad_()
            slope = torch.autograd.grad(judged(between, labels).sum(), between, create_graph=True)[0]
            penalty: Tensor = _PENALTY * (slope.norm(dim=1) - 1).square().mean()
            away: Tensor = judged(fake, labels).mean() - judged(real, labels).mean()
            return away + penalty

        def maker_loss(step: int) -> Tensor:
            _, fake, labels = draw()
            return -judged(fake, labels).mean()

        for _ in range(_WGAN_STEPS):
            descend(judging, critic_loss, _CRITIC_STEPS)
            descend(making, maker_loss, 1)

    def make(labels: Tensor, noise: torch.Generator) -> Tensor:
        drawn = torch.randn(len(labels), _NOISE, generator=noise)
        points: Tensor = maker(torch.cat([drawn, labels], 1))
        return points

    return given.sampler(make)


def _dense(inputs: int, outputs: int, bend: nn.Module) -> nn.Module:
    first, second = nn.Linear(inputs, _HIDDEN), nn.Linear(_HIDDEN, _HIDDEN)
    return nn.Sequential(first, bend, second, bend, nn.Linear(_HIDDEN, outputs))


def diffusion(seed: Seed) -> Sampler:
    """Conditional diffusion (Ho et al., 2020): components denoised in 100 steps."""
    random = np.random.default_rng(seed.seed)
    with seeded(seed.seed):
        given = conditions_of(seed.bed.train)
        points = given.points
        rank, classes = points.shape[1], given.labels.shape[1]
        kept = torch.cumprod(1 - torch.linspace(1e-3, 0.12, _TIMES), 0)
        denoiser = _dense(rank + classes + 16, rank, nn.SiLU())

        def loss(step: int) -> Tensor:
            rows = torch.from_numpy(random.integers(len(points), size=_DIFFUSION_BATCH))
            time = torch.from_numpy(random.integers(_TIMES, size=_DIFFUSION_BATCH))
            noise = torch.randn(_DIFFUSION_BATCH, rank)
            share = kept[time][:, None]
            noisy = share.sqrt() * points[rows] + (1 - share).sqrt() * noise
            guess: Tensor = denoiser(torch.cat([noisy, given.labels[rows], _waves(time)], 1))
            return (guess - noise).square().mean()

        optimiser = torch.optim.AdamW(denoiser.parameters(), lr=1e-3)
        descend(optimiser, loss, _DIFFUSION_STEPS, falling=True)

    def denoise(labels: Tensor, noise: torch.Generator) -> Tensor:
        count = len(labels)
        now = torch.randn(count, rank, generator=noise)
        for time in range(_TIMES - 1, -1, -1):
            step = torch.full((count,), time)
            guess = denoiser(torch.cat([now, labels, _waves(step)], 1))
            before = kept[time - 1] if time else torch.tensor(1.0)
            clean = (now - (1 - kept[time]).sqrt() * guess) / kept[time].sqrt()
            clean = clean.clamp(-6, 6)
            alpha = kept[time] / before
            mean = before.sqrt() * (1 - alpha) * clean + alpha.sqrt() * (1 - before) * now
            spread = ((1 - before) / (1 - kept[time]) * (1 - alpha)).sqrt()
            now = mean / (1 - kept[time]) + spread * torch.randn(count, rank, generator=noise)
        return now

    return given.sampler(denoise)


def _waves(time: Tensor) -> Tensor:
    """Sines and cosines of the time, shape (samples, 16)."""
    angles = time[:, None] / _TIMES * torch.pi * 2.0 ** torch.arange(8)
    return torch.cat([angles.sin(), angles.cos()], 1)


@dataclass(frozen=True, eq=False)
class Conditions:
    """Real metastases to learn from."""

    points: Tensor
    """Whitened: zero mean, unit variance. Shape (metastases, components)."""
    labels: Tensor
    """Two ones in each row, shape (metastases, cancers + sites)."""
    axes: Tensor
    """From points to profiles, in units, shape (components, genes)."""
    middle: Tensor
    """Shape (genes,)."""
    standard: Standard
    texture: Texture
    cancers: tuple[str, ...]
    sites: tuple[str, ...]

    def sampler(self, draw: Callable[[Tensor, torch.Generator], Tensor]) -> Sampler:
        """Profiles from the whitened components that `draw` gives for one-hot rows of what is asked."""

        def sample(request: Request) -> Profiles:
            noise = torch.Generator().manual_seed(request.seed)
            labels = _one_hot(self.cancers, self.sites, request.cancers, request.sites)
            with torch.inference_mode():
                points = draw(labels, noise)
                units = self.middle + points @ self.axes + self.texture.draw(len(points), noise)
            return Profiles(self.standard.undo(units.numpy()))

        return sample


def conditions_of(train: Cohort) -> Conditions:
    """The metastases of a cohort, whitened, and their classes."""
    met = train.take(train.of("metastasis"))
    standard = learn_standard(met.values, met.genes)
    profiles = torch.from_numpy(standard.apply(met.values))
    middle = profiles.mean(0)
    rank = min(_COMPONENTS, len(profiles) - 1)
    left, strengths, right = torch.svd_lowrank(profiles - middle, q=rank, niter=4)
    size = len(profiles) ** 0.5
    points, axes = left * size, (right * strengths / size).T
    texture = Texture(len(met.genes))
    rest = (profiles - middle - points @ axes).numpy()
    texture.fit(rest, rest)
    cancers, sites = (tuple(np.unique(column).tolist()) for column in (met.cancers, met.sites))
    labels = _one_hot(cancers, sites, met.cancers, met.sites)
    return Conditions(points, labels, axes, middle, standard, texture, cancers, sites)


def _one_hot(
    cancers: tuple[str, ...], sites: tuple[str, ...], of_cancer: NDArray[np.str_], of_site: NDArray[np.str_]
) -> Tensor:
    labels = np.zeros((len(of_cancer), len(cancers) + len(sites)), dtype=np.float32)
    rows = np.arange(len(labels))
    labels[rows, np.searchsorted(cancers, of_cancer)] = 1
    labels[rows, len(cancers) + np.searchsorted(sites, of_site)] = 1
    return torch.from_numpy(labels)


_TASKS = ("generator semi-synthetic",)
METHODS = (
    Method("conditional-vae", _TASKS, conditional_vae),
    Method("wgan-gp", _TASKS, wgan),
    Method("diffusion", _TASKS, diffusion),
)
