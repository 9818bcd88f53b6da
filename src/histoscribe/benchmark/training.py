"""What the learned peers and classifiers share: batches and the steps of descent."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from histoscribe.features.device import one_thread
from histoscribe.models.reproducible import seeded

Batch = TypeVar("Batch")


def descend(
    optimiser: torch.optim.Optimizer,
    loss: Callable[[int], torch.Tensor],
    steps: int,
    *,
    falling: bool = False,
) -> None:
    """Take steps down a loss of the number of the step; where `falling`, the rate falls to 0 along a
    cosine."""
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps) if falling else None
    for step in range(steps):
        value = loss(step)
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if fall is not None:
            fall.step()


def train_network(
    build: Callable[[], torch.nn.Module],
    loss: Callable[[torch.nn.Module, Batch], torch.Tensor],
    batches: Sequence[Batch],
    *,
    seed: int,
    epochs: int,
) -> torch.nn.Module:
    """Build a network and train it, a batch per step, in another random order each epoch.

    `build` is called after seeding, so that a seed gives the same digits on the CPU; `loss` is of the
    network, which comes back in evaluation mode, and one batch.
    """
    with seeded(seed), one_thread():
        network = build().train()
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-3)
        for _ in range(epochs):
            order = torch.randperm(len(batches)).tolist()

            def of_batch(step: int, order: list[int] = order) -> torch.Tensor:
                return loss(network, batches[order[step]])

            descend(optimiser, of_batch, len(order))
    return network.eval()
