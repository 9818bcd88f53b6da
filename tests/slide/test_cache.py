"""The store of pixels: bounded, computed once, gone with its owner."""

from __future__ import annotations

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from histoscribe.slide.cache import PixelStore


class _Owner:
    pass


def _pixels(value: int = 0):
    return np.full((10, 10, 3), value, dtype=np.uint8)


def test_least_recently_used_goes_first():
    store, owner, computed = PixelStore(budget=900), _Owner(), []

    def ask(name: int):
        return store.get(owner, name, lambda: computed.append(name) or _pixels(name))

    for name in (1, 2, 3, 1, 4, 1, 2):
        assert ask(name)[0, 0, 0] == name
    assert computed == [1, 2, 3, 4, 2]


def test_a_value_larger_than_the_budget_is_kept_until_the_next():
    store, owner = PixelStore(budget=10), _Owner()
    first = store.get(owner, "large", _pixels)
    assert store.get(owner, "large", pytest.fail) is first
    store.get(owner, "next", _pixels)
    assert store.get(owner, "large", _pixels) is not first


def test_what_is_kept_goes_with_its_owner():
    store, owner = PixelStore(budget=10**6), _Owner()
    for name in range(5):
        store.get(owner, name, _pixels)
    del owner
    gc.collect()
    assert not store._kept
    assert store._nbytes == 0


def test_many_threads_compute_once():
    store, owner, computed = PixelStore(budget=10**6), _Owner(), []
    barrier = threading.Barrier(8)

    def compute():
        computed.append(1)
        time.sleep(0.05)
        return _pixels(7)

    def ask(_: int):
        barrier.wait()
        return store.get(owner, "same", compute)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(ask, range(8)))
    assert len(computed) == 1
    assert all(result is results[0] for result in results)


def test_failure_is_not_kept():
    store, owner = PixelStore(budget=10**6), _Owner()
    with pytest.raises(ZeroDivisionError):
        store.get(owner, "it", lambda: 1 // 0)
    assert store.get(owner, "it", _pixels).shape == (10, 10, 3)
    assert not store._gates
