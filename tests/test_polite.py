"""The check that the process is left as it was found notices each thing that is not."""

from __future__ import annotations

import gc
import logging
import os
import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

OTHER = logging.getLogger("somebody.else")


CHANGES: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "turns of threads": (lambda: sys.setswitchinterval(0.001), lambda: sys.setswitchinterval(0.005)),
    "collector": (gc.freeze, gc.unfreeze),
    "environment": (lambda: os.environ.update(A_NEW_NAME="1"), lambda: os.environ.pop("A_NEW_NAME")),
    "warnings": (lambda: warnings.simplefilter("ignore", UserWarning), lambda: warnings.filters.pop(0)),
    "random": (random.random, lambda: None),
    "numpy": (np.random.random, lambda: None),
    "levels of logs": (lambda: OTHER.setLevel(7), lambda: OTHER.setLevel(0)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_noticed(polite: Callable, name: str) -> None:
    change, back = CHANGES[name]
    if name == "random" and "distributed" in sys.modules:
        pytest.skip("a client of the scheduler draws from these numbers itself")
    try:
        with pytest.raises(AssertionError, match=name), polite(0):
            change()
    finally:
        back()


def test_a_number_drawn_from_torch_is_noticed(polite: Callable) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(AssertionError, match="torch's numbers"), polite(0):
        torch.rand(1)


def test_another_folder_is_noticed(polite: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path.cwd())
    with pytest.raises(AssertionError, match="folder"), polite(0):
        os.chdir(tmp_path)


def test_nothing_is_nothing(polite: Callable) -> None:
    with polite(0):
        pass


def test_importing_the_package_changes_nothing_and_maps_no_library() -> None:
    words = """
import gc, logging, os, random, signal, sys, warnings
def state():
    signals = [signal.getsignal(number) for number in signal.valid_signals()]
    return (sys.getswitchinterval(), gc.isenabled(), gc.get_freeze_count(), dict(os.environ), os.getcwd(),
            random.getstate(), list(warnings.filters), logging.root.level, signals)
before = state()
import histoscribe
assert state() == before
assert not {"torch", "numba", "llvmlite", "anndata", "napari"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", words], check=True)
