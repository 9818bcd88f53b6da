"""What the learned peers share: seeding, one section per batch, and Adam."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from histoscribe.models.reproducible import one_thread

Batch = TypeVar("Batch")


def train_network(
    build: Callable[[], torch.nn.Module],
    loss: Callable[[torch.nn.Module, Batch], torch.Tensor],
    batches: Sequence[Batch],
    *,
    seed: int,
    epochs: int,
    rate: float,
    decay: float = 1e-3,
) -> torch.nn.Module:
    """Build a network and train it, one section per step, sections in random order.

    Parameters
    ----------
    build : callable
        Makes the network; called after seeding, so that a seed gives the same digits on the CPU.
    loss : callable
        Of the network and one batch.

    Returns
    -------
    torch.nn.Module
        In evaluation mode.
    """
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(seed)
        network = build().train()
        optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=decay)
        for _ in range(epochs):
            for place in torch.randperm(len(batches)).tolist():
                optimiser.zero_grad()
                value = loss(network, batches[place])
                value.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
    return network.eval()


class ProjectionHead(torch.nn.Module):
    """Linear, GELU, linear, dropout, with a residual and a layer norm, as in CLIP-style peers."""

    def __init__(self, inputs: int, outputs: int = 256, dropout: float = 0.1) -> None:
        super().__init__()
        self.first = torch.nn.Linear(inputs, outputs)
        self.rest = torch.nn.Sequential(
            torch.nn.GELU(), torch.nn.Linear(outputs, outputs), torch.nn.Dropout(dropout)
        )
        self.norm = torch.nn.LayerNorm(outputs)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Project (n, inputs) to (n, outputs)."""
        projected = self.first(values)
        result: torch.Tensor = self.norm(projected + self.rest(projected))
        return result
