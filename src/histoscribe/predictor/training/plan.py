"""The training plan: how a network's errors become its weights, run by Lightning.

Lightning costs seconds to import: import this module only when training starts.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from histoscribe.predictor.settings import Settings
from histoscribe.predictor.training.batches import Batch
from histoscribe.predictor.training.losses import attention_entropy, one_hot_contrastive, soft_contrastive
from histoscribe.predictor.variants.published import PublishedNetwork
from histoscribe.predictor.variants.repaired import Network
from histoscribe.progress import Progress

_ERROR_SHARE = 5.0
_GATE_SHARE = 0.1
_LIKENESS = 10.0
_ONE_HOT = 1e4
_CLIP = 5.0


class RepairedPlan(LightningModule):
    """Soft contrastive agreement + regression error + the gate's cross-entropy; AdamW, one cycle."""

    def __init__(self, network: Network, settings: Settings, steps: int) -> None:
        super().__init__()
        self.network, self.settings, self.steps = network, settings, steps

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        """The loss of one batch."""
        out = self.network(batch.features, batch.expression, batch.places, batch.types, batch.spatial)
        alike = F.normalize(batch.expression, dim=-1)
        likeness = _LIKENESS * alike @ alike.T
        if "soft targets" in self.settings.without:
            likeness = _ONE_HOT * torch.eye(len(alike), device=alike.device)
        agreement = soft_contrastive(out.image, out.spot, likeness, self.network.temperature)
        squares = (out.expression - batch.expression).square().mean(-1)
        error = (batch.trust * squares).sum() / batch.trust.sum()
        loss: Tensor = agreement + _ERROR_SHARE * error + _GATE_SHARE * F.cross_entropy(out.gate, batch.types)
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW whose rate rises over a tenth of the steps and then falls to nothing."""
        rate = self.settings.learning_rate
        optimiser = torch.optim.AdamW(
            self.parameters(), lr=rate, weight_decay=self.settings.weight_decay, foreach=True
        )
        steps = max(self.steps, 2)
        # OneCycleLR divides by the length of the rise less one step: a single step may not be all of it.
        rise = 0.2 if steps == 10 else 0.1
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=rate, total_steps=steps, pct_start=rise
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class PublishedPlan(LightningModule):
    """One-hot contrastive + 50·MSE + gate cross-entropy + 0.01·attention entropy; Adam."""

    def __init__(self, network: PublishedNetwork, settings: Settings, steps: int) -> None:
        super().__init__()
        self.network, self.settings, self.steps = network, settings, steps

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        """The loss of one batch."""
        out = self.network(batch.features, batch.expression, batch.places, batch.types, batch.spatial)
        entropy = sum(
            (attention_entropy(weights, target, len(out.image)) for weights, target in out.attention),
            start=torch.zeros((), device=out.image.device),
        )
        return (
            one_hot_contrastive(out.image, out.spot)
            + 50.0 * F.mse_loss(out.expression, batch.expression)
            + F.cross_entropy(out.gate, batch.types)
            + 0.01 * entropy
        )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam at a constant rate."""
        return torch.optim.Adam(
            self.parameters(), lr=self.settings.learning_rate, weight_decay=self.settings.weight_decay
        )


class _Reports(Callback):
    """Passes epochs on to a `Progress`, which may raise `Cancelled`."""

    def __init__(self, progress: Progress, message: str) -> None:
        self.progress, self.message = progress, message

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.progress.report(self.message, trainer.current_epoch, trainer.max_epochs or 0)


def train(
    network: nn.Module,
    batches: Sequence[Batch],
    settings: Settings,
    *,
    seed: int,
    device: torch.device,
    progress: Progress,
    message: str,
) -> None:
    """Train a network in place, deterministically for a seed on one CPU.

    Parameters
    ----------
    network : Network or PublishedNetwork
    batches : sequence of Batch
    settings : Settings
    seed : int
        Of dropout and the order of batches; the caller's random state is left as it was.
    device : torch.device
    progress : Progress
        Told about every epoch.
    message : str
        What to tell.
    """
    steps = settings.epochs * len(batches)
    plan: LightningModule = (
        PublishedPlan(network, settings, steps)
        if isinstance(network, PublishedNetwork)
        else RepairedPlan(network, settings, steps)  # type: ignore[arg-type]
    )
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus), _quiet():
        torch.manual_seed(seed)
        order = torch.Generator().manual_seed(seed)
        loader: DataLoader[Batch] = DataLoader(
            [batch.to(device) for batch in batches],  # type: ignore[arg-type]
            batch_size=None,
            shuffle=len(batches) > 1,
            generator=order,
        )
        trainer = Trainer(
            accelerator={"cuda": "gpu"}.get(device.type, device.type),
            devices=[device.index or 0] if gpus else 1,
            max_epochs=settings.epochs,
            gradient_clip_val=_CLIP if settings.variant == "histoscribe" else None,
            callbacks=[_Reports(progress, message)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=max(steps, 1),
        )
        trainer.fit(plan, loader)
    network.to("cpu").eval()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's notices about workers and devices to itself while it trains."""
    logs = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
