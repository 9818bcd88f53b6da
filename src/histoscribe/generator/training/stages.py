"""Training in stages with Lightning: the MetVAE on metastases, then source encoder and mixer."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from histoscribe.generator.metgen import MetGen
from histoscribe.generator.network import MetVAE, Mixer, SourceEncoder
from histoscribe.generator.parents import mix
from histoscribe.generator.settings import GeneratorSettings
from histoscribe.generator.training.losses import info_nce, kl_divergence, mmd, positives
from histoscribe.models.standard import Standard
from histoscribe.progress import Progress

_BATCH = 128
_REAL = 384

Batch = tuple[torch.Tensor, ...]


@dataclass(frozen=True, eq=False)
class MixingSamples:
    """What the second stage draws its batches from.

    Parameters
    ----------
    primaries, normals : ndarray of float32, shape (samples, genes)
        log2 of abundance.
    primary_classes, normal_classes : ndarray of int64, shape (samples,)
        Cancer of a primary, site of a normal tissue.
    pairs : ndarray of int64, shape (metastases, 2)
        Cancer and site of each real metastasis.
    codes : ndarray of float32, shape (metastases, CODE)
        Of the real metastases.
    purity : ndarray of float32, shape (metastases,)
        As estimated.
    """

    primaries: NDArray[np.float32]
    normals: NDArray[np.float32]
    primary_classes: NDArray[np.int64]
    normal_classes: NDArray[np.int64]
    pairs: NDArray[np.int64]
    codes: NDArray[np.float32]
    purity: NDArray[np.float32]


def draw_parents(
    samples: MixingSamples, pairs: NDArray[np.int64], random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A random primary of each pair's cancer and a random normal tissue of its site, as row indices."""
    of_cancer = {c: np.flatnonzero(samples.primary_classes == c) for c in np.unique(pairs[:, 0])}
    of_site = {s: np.flatnonzero(samples.normal_classes == s) for s in np.unique(pairs[:, 1])}
    primaries = np.array([random.choice(of_cancer[c]) for c in pairs[:, 0]])
    normals = np.array([random.choice(of_site[s]) for s in pairs[:, 1]])
    return primaries, normals


class MetastasisBatches(IterableDataset[Batch]):
    """Batches of metastases with their classes, in a new order each epoch."""

    def __init__(
        self, profiles: NDArray[np.float32], pairs: NDArray[np.int64], steps: int, seed: int
    ) -> None:
        self.profiles, self.pairs, self.steps, self.seed = profiles, pairs, steps, seed

    def __iter__(self) -> Iterator[Batch]:
        random = np.random.default_rng(self.seed)
        size = min(_BATCH, len(self.profiles))
        order = np.empty(0, dtype=np.int64)
        for _ in range(self.steps):
            if len(order) < size:
                order = random.permutation(len(self.profiles))
            rows, order = order[:size], order[size:]
            yield torch.from_numpy(self.profiles[rows]), torch.from_numpy(self.pairs[rows])


class MixtureBatches(IterableDataset[Batch]):
    """Batches of parents for the mixer, and of real codes to be pulled to."""

    def __init__(self, samples: MixingSamples, standard: Standard, steps: int, seed: int) -> None:
        self.samples, self.standard, self.steps, self.seed = samples, standard, steps, seed

    def __iter__(self) -> Iterator[Batch]:
        random = np.random.default_rng(self.seed)
        given = self.samples
        count = len(given.pairs)
        for _ in range(self.steps):
            rows = random.integers(count, size=_BATCH)
            primary, normal = draw_parents(given, given.pairs[rows], random)
            around = given.purity[rows] + random.normal(0, 0.05, _BATCH)
            purity = np.clip(around, 0.05, 1).astype(np.float32)
            mixed = mix(given.primaries[primary], given.normals[normal], purity)
            real = random.choice(count, min(_REAL, count), replace=False)
            parts = (given.primaries[primary], given.normals[normal], mixed)
            yield (
                *(torch.from_numpy(self.standard.apply(part)) for part in parts),
                torch.from_numpy(purity), torch.from_numpy(given.pairs[rows]),
                torch.from_numpy(given.codes[real]), torch.from_numpy(given.pairs[real]),
            )  # fmt: skip


class MetVAEPlan(lightning.LightningModule):
    """Squared error of the profile, KL divergence warmed up, and the two heads."""

    def __init__(self, network: MetVAE, steps: int, rate: float = 1e-3, divergence: float = 0.02) -> None:
        super().__init__()
        self.network, self.steps, self.rate, self.divergence = network, steps, rate, divergence

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        """Loss of one batch."""
        profiles, pairs = batch
        mean, log_variance = self.network.encode(profiles)
        codes = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        error = (self.network.decode(codes) - profiles).square().mean(1).mean()
        warm = min(1.0, (self.global_step + 1) / (0.4 * self.steps))
        loss: torch.Tensor = (
            error + warm * self.divergence * kl_divergence(mean, log_variance) / mean.shape[1]
        )
        for head, column in ((self.network.cancer, 0), (self.network.site, 1)):
            loss = loss + 0.1 * nn.functional.cross_entropy(head(codes), pairs[:, column])
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW with a cosine fall."""
        return _falling(self.network.parameters(), self.rate, self.steps)


class MixingPlan(lightning.LightningModule):
    """The contrastive learner: mixed codes are pulled to real codes of the same cancer and site.

    Beside InfoNCE: MMD, so that the codes are spread as real ones are; the heads of the MetVAE, frozen; and
    fidelity: differences among the mixed codes are those among the codes of the parents' linear
    mixtures, which keeps each parent's own features and the asked purity. What all metastases have
    beyond the mixtures is left free.
    """

    def __init__(
        self, met: MetVAE, source: SourceEncoder, mixer: Mixer, steps: int, rate: float = 1e-3
    ) -> None:
        super().__init__()
        self.met, self.source, self.mixer, self.steps, self.rate = met, source, mixer, steps, rate

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        """Loss of one batch."""
        primary, normal, mixed, purity, pairs, real, real_pairs = batch
        codes = self.mixer(self.source(primary, 0), self.source(normal, 1), purity)
        with torch.no_grad():
            target, _ = self.met.encode(mixed)
        weights = positives(pairs[:, 0], pairs[:, 1], real_pairs[:, 0], real_pairs[:, 1])
        faithful = ((codes - codes.mean(0)) - (target - target.mean(0))).square().mean()
        heads = nn.functional.cross_entropy(self.met.cancer(codes), pairs[:, 0])
        heads = heads + nn.functional.cross_entropy(self.met.site(codes), pairs[:, 1])
        loss: torch.Tensor = (
            0.05 * info_nce(codes, real, weights) + 2.0 * mmd(codes, real) + 0.02 * heads + faithful
            + 0.1 * (codes.mean(0) - real.mean(0)).square().mean()
        )  # fmt: skip
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW with a cosine fall, the MetVAE left frozen."""
        return _falling([*self.source.parameters(), *self.mixer.parameters()], self.rate, self.steps)


def train_metvae(
    model: MetGen, profiles: NDArray[np.float32], pairs: NDArray[np.int64], settings: GeneratorSettings,
    progress: Progress,
) -> None:  # fmt: skip
    """Train the MetVAE, in place, on standardised metastases, shape (samples, genes), with their classes."""
    steps = settings.met_steps
    batches = MetastasisBatches(profiles, pairs, steps, settings.seed)
    _run_stage(MetVAEPlan(model.met, steps), batches, steps, "learning metastases", progress)
    model.eval()


def train_mixer(
    model: MetGen, samples: MixingSamples, standard: Standard, settings: GeneratorSettings, progress: Progress
) -> None:
    """Train source encoder and mixer, in place; the MetVAE is frozen."""
    steps = settings.mixing_steps
    model.train()
    plan = MixingPlan(model.met.eval().requires_grad_(False), model.source, model.mixer, steps)
    batches = MixtureBatches(samples, standard, steps, settings.seed)
    _run_stage(plan, batches, steps, "learning to mix", progress)
    model.eval().requires_grad_(False)


def _run_stage(
    plan: lightning.LightningModule, data: IterableDataset[Batch], steps: int, label: str, progress: Progress
) -> None:
    """Train one stage, reporting every ten steps."""
    progress.report(label, 0, steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        trainer = lightning.Trainer(
            max_steps=steps, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, gradient_clip_val=1.0,
            callbacks=[_Reporting(progress, steps, label)],
        )  # fmt: skip
        trainer.fit(plan, DataLoader(data, batch_size=None))
    plan.eval()


class _Reporting(lightning.Callback):
    def __init__(self, progress: Progress, steps: int, label: str) -> None:
        self.progress, self.steps, self.label = progress, steps, label

    def on_train_batch_end(self, trainer: Any, *rest: Any) -> None:
        if trainer.global_step % 10 == 0 or trainer.global_step == self.steps:
            self.progress.report(self.label, trainer.global_step, self.steps)


def _falling(parameters: Any, rate: float, steps: int) -> Any:
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=1e-3)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(steps, 1), rate / 50)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": fall, "interval": "step"}}
