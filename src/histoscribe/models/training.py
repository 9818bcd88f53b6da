"""The training loop of every model, run by Lightning.

A model gives its network, a loss and an optimiser; seeds, progress, cancelling, checkpoints and devices are
taken care of here, and the process is left as it was found. Lightning costs seconds to import: import this
module only when training starts.
"""

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader

from histoscribe.features.device import keep_triton_apart, resolve_device
from histoscribe.models.reproducible import seeded, set_seed
from histoscribe.progress import Progress

keep_triton_apart()
from lightning.pytorch import Callback, LightningModule, Trainer  # noqa: E402
from lightning.pytorch.callbacks import ModelCheckpoint  # noqa: E402

Loss = Callable[[Any, int], Tensor]
"""Of a batch and of the number of steps done."""
Optimisation = tuple[Optimizer, LRScheduler | None]
"""An optimiser and, where its rate changes with the steps, the schedule."""

_STRIDE = 1_000_003


@dataclass(frozen=True)
class Checkpoints:
    """A folder that keeps the state of one training, to go on from after it was stopped."""

    folder: Path
    """Of this training alone: name it after all that the training depends on."""
    every: int = 100
    """Steps between two checkpoints."""

    @property
    def latest(self) -> Path | None:
        """The newest checkpoint, None where there is none."""
        return max(self.folder.glob("step-*.ckpt"), key=_step_of, default=None)

    @property
    def step(self) -> int:
        """Steps done at the newest checkpoint: the data must go on from here."""
        latest = self.latest
        return 0 if latest is None else _step_of(latest)


@dataclass(frozen=True)
class TrainingOptions:
    """How long, where and from which seed a network is trained."""

    message: str
    """What progress is told."""
    steps: int
    """How many batches it learns from."""
    seed: int | None = None
    """Of all random numbers drawn while training. None goes on in the caller's stream: see
    `reproducible.seeded`."""
    seed_each_step: bool = False
    """Whether every step draws from the seed and its own number, so that training goes on as if never
    stopped."""
    device: str | torch.device = "cpu"
    """`auto`, `cpu`, `cuda`, `cuda:1` or `mps`."""
    devices: int = 1
    """How many of them, each in a process of its own."""
    clip: float | None = None
    """The largest norm of the gradient."""
    report_every: int = 1
    """Steps between two reports of progress."""
    checkpoints: Checkpoints | None = None


def train(
    network: nn.Module,
    data: DataLoader[Any],
    *,
    loss: Loss,
    optimise: Callable[[], Optimisation],
    options: TrainingOptions,
    progress: Progress,
) -> None:
    """Train a network in place and leave it on the CPU, in evaluation mode.

    Deterministic for a seed on one CPU. Random state, threads, log levels, environment and PyTorch's choice
    of algorithms are set back afterwards. `network`: all that learns or is moved to the device, where the
    batches that `loss` gets lie. Raises `Cancelled` if `progress` was cancelled, `SettingError` if the device
    is not here.
    """
    device, one = resolve_device(str(options.device)), options.devices == 1
    kept = options.checkpoints
    callbacks: list[Callback] = [_Reports(progress, options), _Processes(), _Draws()]
    if kept is not None:
        each = ModelCheckpoint(
            kept.folder,
            "step-{step}",
            save_top_k=-1,
            auto_insert_metric_name=False,
            every_n_train_steps=kept.every,
        )
        callbacks.append(each)
    random = nullcontext() if options.seed is None else seeded(options.seed, device)
    with random, _as_found():
        trainer = Trainer(
            accelerator={"cuda": "gpu"}.get(device.type, device.type),
            devices=[device.index or 0] if one and device.type == "cuda" else options.devices,
            strategy="auto" if one else "ddp_fork",
            max_epochs=-1,
            max_steps=options.steps,
            gradient_clip_val=options.clip,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=kept is not None,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        learner, latest = _Learner(network, loss, optimise, options), None if kept is None else kept.latest
        trainer.fit(learner, data, ckpt_path=latest, weights_only=True)
    network.to("cpu").eval()


class _Learner(LightningModule):
    def __init__(
        self, network: nn.Module, loss: Loss, optimise: Callable[[], Optimisation], options: TrainingOptions
    ) -> None:
        super().__init__()
        self.network, self.loss, self.optimise, self.options = network, loss, optimise, options

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        if self.options.seed_each_step:
            set_seed((self.options.seed or 0) * _STRIDE + self.global_step, self.device)

    def training_step(self, batch: Any, _index: int) -> Tensor:
        return self.loss(batch, self.global_step)

    def configure_optimizers(self) -> Any:
        optimiser, schedule = self.optimise()
        if schedule is None:
            return optimiser
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Reports(Callback):
    """Passes steps on to a `Progress`, which may raise `Cancelled`."""

    def __init__(self, progress: Progress, options: TrainingOptions) -> None:
        self.progress, self.options = progress, options

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.progress.report(self.options.message, trainer.global_step, self.options.steps)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        done, steps = trainer.global_step, self.options.steps
        if done % self.options.report_every == 0 or done == steps:
            self.progress.report(self.options.message, done, steps)


class _Draws(Callback):
    """Keeps the state of the random numbers in checkpoints: training goes on as if never stopped."""

    def __init__(self) -> None:
        self.found: Tensor | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"state": torch.get_rng_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.found = state_dict["state"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.found is not None:
            torch.set_rng_state(self.found.cpu())


class _Processes(Callback):
    """One thread in each of several processes: a forked one would wait for OpenMP's others for ever."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if trainer.world_size > 1:
            torch.set_num_threads(1)


@contextmanager
def _as_found() -> Iterator[None]:
    """Keep Lightning's notices to itself, and set back whatever of the process it sets."""
    logs = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    levels = [log.level for log in logs]
    threads, environment = torch.get_num_threads(), dict(os.environ)
    deterministic = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic, warn_only=warns)
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)


def _step_of(path: Path) -> int:
    number = path.stem.removeprefix("step-")
    return int(number) if number.isdigit() else 0
