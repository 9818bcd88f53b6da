"""Pixels that are kept for a while: one store for the process, bounded in bytes."""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable

from histoscribe.arrays import Pixels

_Key = tuple[int, Hashable]


class PixelStore:
    """Keeps computed pixels until others need the room or their owner is gone.

    Safe to use from several threads; what several ask for at once is computed once. What is kept is
    read-only. Nothing depends on whether a value was kept or computed again.

    `budget`: bytes to keep at most; a single larger value is kept until the next one comes.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._nbytes = 0
        self._kept: OrderedDict[_Key, Pixels] = OrderedDict()
        self._gates: dict[_Key, threading.Lock] = {}
        self._owners: set[int] = set()
        self._lock = threading.RLock()

    def get(self, owner: object, name: Hashable, compute: Callable[[], Pixels]) -> Pixels:
        """Return what is kept for `owner` under `name`, computing it if there is nothing."""
        key = (id(owner), name)
        with self._lock:
            if (kept := self._find(key)) is not None:
                return kept
            gate = self._gates.setdefault(key, threading.Lock())
        with gate:
            with self._lock:
                kept = self._find(key)
            if kept is not None:
                return kept
            try:
                kept = compute()
                kept.flags.writeable = False
                with self._lock:
                    if key[0] not in self._owners:
                        self._owners.add(key[0])
                        weakref.finalize(owner, self._forget, key[0])
                    self._drop(key)
                    self._kept[key] = kept
                    self._nbytes += kept.nbytes
                    self.bound(self._budget)
            finally:
                with self._lock:
                    self._gates.pop(key, None)
        return kept

    def bound(self, budget: int) -> None:
        """Keep at most `budget` bytes from now on."""
        with self._lock:
            self._budget = budget
            while self._nbytes > self._budget and len(self._kept) > 1:
                self._drop(next(iter(self._kept)))

    def _find(self, key: _Key) -> Pixels | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def _drop(self, key: _Key) -> None:
        if key in self._kept:
            self._nbytes -= self._kept.pop(key).nbytes

    def _forget(self, owner: int) -> None:
        with self._lock:
            self._owners.discard(owner)
            for key in [key for key in self._kept if key[0] == owner]:
                self._drop(key)


PIXELS = PixelStore(budget=768 * 2**20)
"""The store that all slides of this process share."""
