"""The training loop learns, repeats itself, goes on where it was stopped, and leaves the process as found."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from histoscribe.errors import Cancelled, SettingError
from histoscribe.models.training import Checkpoints, TrainingOptions, train
from histoscribe.progress import Progress, Step

SLOPE = torch.tensor([[1.0, -2.0, 0.5]])


class Lines(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """Batches of a linear function, each from its number alone."""

    def __init__(self, steps: int, first: int = 0) -> None:
        self.steps, self.first = steps, first

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for step in range(self.first, self.steps):
            x = torch.randn(16, 3, generator=torch.Generator().manual_seed(step))
            yield x, x @ SLOPE.T


def a_network() -> nn.Module:
    network = nn.Sequential(nn.Linear(3, 1), nn.Dropout(0.1))
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    return network


def trained(options: TrainingOptions, data: IterableDataset, progress: Progress | None = None) -> nn.Module:
    network = a_network()

    def loss(batch: tuple[torch.Tensor, torch.Tensor], _step: int) -> torch.Tensor:
        return (network(batch[0]) - batch[1]).square().mean()

    def optimise() -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        optimiser = torch.optim.Adam(network.parameters(), lr=0.2)
        return optimiser, torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.97)

    train(
        network,
        DataLoader(data, batch_size=None),
        loss=loss,
        optimise=optimise,
        options=options,
        progress=progress or Progress(),
    )
    return network


def weights(network: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_a_network_learns_and_comes_back_ready_to_answer():
    network = trained(TrainingOptions("learning", steps=150, seed=1), Lines(150))
    assert not network.training
    torch.testing.assert_close(network[0].weight.detach(), SLOPE, atol=0.3, rtol=0)


def test_the_same_seed_gives_the_same_weights_and_another_gives_others():
    one, again, other = (
        weights(trained(TrainingOptions("learning", steps=9, seed=seed), Lines(9))) for seed in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_steps_are_reported():
    told: list[Step] = []
    options = TrainingOptions("learning", steps=5, seed=0, report_every=2)
    trained(options, Lines(5), Progress(told.append))
    assert [(step.done, step.total) for step in told] == [(0, 5), (2, 5), (4, 5), (5, 5)]
    assert {step.message for step in told} == {"learning"}


@pytest.mark.parametrize("each", [True, False])
def test_a_stopped_training_goes_on_as_if_it_never_stopped(tmp_path: Path, each: bool):
    def options(folder: str, steps: int) -> TrainingOptions:
        kept = Checkpoints(tmp_path / folder, every=4)
        return TrainingOptions("learning", steps=steps, seed=5, seed_each_step=each, checkpoints=kept)

    whole = trained(options("whole", 10), Lines(10))

    def stop(step: Step) -> None:
        if step.done == 6:
            progress.cancel()

    progress = Progress(stop)
    with pytest.raises(Cancelled):
        trained(options("parts", 10), Lines(10), progress)
    kept = Checkpoints(tmp_path / "parts", every=4)
    assert kept.step == 4
    gone_on = trained(options("parts", 10), Lines(10, kept.step))
    assert torch.equal(weights(whole), weights(gone_on))


def test_the_process_is_left_as_it_was():
    levels = {name: logging.getLogger(name).level for name in ("lightning.pytorch", "lightning.fabric")}
    threads, environment, before = torch.get_num_threads(), dict(os.environ), torch.get_rng_state()
    a_network()
    random = torch.get_rng_state()
    torch.set_rng_state(before)
    torch.use_deterministic_algorithms(True)
    try:
        trained(TrainingOptions("learning", steps=2, seed=1), Lines(2))
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    assert {name: logging.getLogger(name).level for name in levels} == levels
    assert (torch.get_num_threads(), dict(os.environ)) == (threads, environment)
    assert torch.equal(torch.get_rng_state(), random)


def test_absent_devices_are_named():
    with pytest.raises(SettingError, match="no such device"):
        trained(TrainingOptions("learning", steps=1, device="abacus"), Lines(1))
