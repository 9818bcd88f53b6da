"""Progress and cancelling: one protocol for shell, viewer and cluster."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from histoscribe.errors import Cancelled

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One report of a running job."""

    message: str
    """What is being done, in plain words."""
    done: int = 0
    total: int = 0
    """`done` and `total`: units of work done and in all; 0 where that is unknown."""


class Progress:
    """What a long job reports to, and how it learns that it should stop.

    Safe to use from several threads. A job calls `report` or wraps its loop in `track`; whoever
    watches passes a `listener` and may call `cancel` at any time.
    The `listener` receives every `Step`, on the thread of the job.
    """

    def __init__(self, listener: Callable[[Step], None] | None = None) -> None:
        self._listener = listener
        self._stop = threading.Event()

    def cancel(self) -> None:
        """Ask the job to stop at its next report."""
        self._stop.set()

    def report(self, message: str, done: int = 0, total: int = 0) -> None:
        """Tell the listener where the job is.

        Raises `Cancelled` if `cancel` has been called.
        """
        if self._stop.is_set():
            raise Cancelled()
        if self._listener is not None:
            self._listener(Step(message, done, total))

    def track(self, items: Iterable[T], message: str, total: int = 0) -> Iterator[T]:
        """Yield `items`, reporting before each one and once more after the last."""
        done = 0
        for done, item in enumerate(items, start=1):
            self.report(message, done - 1, total)
            yield item
        self.report(message, done, total or done)
