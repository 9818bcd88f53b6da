"""Random numbers, set for a block and then back, and batches drawn by them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import torch
from torch.utils.data import IterableDataset

BatchT = TypeVar("BatchT")


class Drawn(IterableDataset[BatchT]):
    """Batches as a function of these arguments yields them, from the first whenever they are asked for."""

    def __init__(self, draw: Callable[..., Iterator[BatchT]], *arguments: Any) -> None:
        self._draw = partial(draw, *arguments)

    def __iter__(self) -> Iterator[BatchT]:
        return self._draw()


def own_process() -> tuple[int, int]:
    """The number of this process among those that train together, and how many they are: 0 and 1 alone."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def set_seed(seed: int, device: torch.device) -> None:
    """Seed what is drawn on the CPU and on one device; `torch.manual_seed` would seed every device."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Draw PyTorch's random numbers from a seed; afterwards its generators go on where they were.

    `device`: that which is drawn on beside the CPU.
    """
    device = torch.device(device)
    mps = torch.mps.get_rng_state() if device.type == "mps" else None
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            set_seed(seed, device)
            yield
    finally:
        if mps is not None:
            torch.mps.set_rng_state(mps)
