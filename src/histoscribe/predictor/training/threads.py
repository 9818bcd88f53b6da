"""On how many threads to compute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread of the processor, and restore their number afterwards.

    Sums over the edges of a graph depend on the order in which threads finish; one thread gives the same
    digits each time. Networks this small gain nothing from more.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
