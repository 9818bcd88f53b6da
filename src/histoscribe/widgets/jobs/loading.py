"""What a job borrows of the host's process and gives back: turns of threads, the collector, libraries."""

from __future__ import annotations

import ctypes
import gc
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

_TURN_S = 0.0002
_LOADING = Lock()
_BINARIES = {
    "torch": (
        "torch",
        {"lib/libtorch_global_deps": ctypes.RTLD_GLOBAL, "lib/libtorch_python": ctypes.RTLD_LOCAL},
    ),
    "numba": ("llvmlite", {"binding/libllvmlite": ctypes.RTLD_LOCAL}),
}


PREDICTING = (
    "torch",
    "numba",
    "histoscribe.predictor.storage",
    "histoscribe.predictor.output",
    "histoscribe.features.tasks",
    "histoscribe.features.builtin.encoder",
    "histoscribe.features.registry",
)
"""What a predictor needs to look at tiles."""


@dataclass
class _Process:
    """The host's process as the first job found it, and how many jobs are under way."""

    jobs: int = 0
    turn_s: float = 0.0
    frozen: bool = False


_PROCESS, _COUNTING = _Process(), Lock()
_FROZEN_AT_START = 1_000  # Python 3.12 keeps some hundred objects of its own from the collector


@contextmanager
def lent() -> Iterator[None]:
    """Let the window answer while a job runs; the last one leaves the process as the first found it.

    Python's threads take turns 25 times as often as usual, and what `load_libraries` keeps from the collector
    of garbage is kept from it.
    """
    with _COUNTING:
        if not _PROCESS.jobs:
            _PROCESS.turn_s = sys.getswitchinterval()
            _PROCESS.frozen = gc.get_freeze_count() > _FROZEN_AT_START
            sys.setswitchinterval(_TURN_S)
        _PROCESS.jobs += 1
    try:
        yield
    finally:
        with _COUNTING:
            _PROCESS.jobs -= 1
            if not _PROCESS.jobs:
                if math.isclose(sys.getswitchinterval(), _TURN_S):  # nobody else has set it meanwhile
                    sys.setswitchinterval(_PROCESS.turn_s)
                if not _PROCESS.frozen:
                    gc.unfreeze()


def load_libraries(*modules: str) -> None:
    """Import modules, named in full, beforehand; the window answers meanwhile.

    An import holds Python's lock while the linker maps PyTorch (0.3 s) or LLVM (0.2 s): that is asked for by
    a call that gives the lock away, for `torch` and `numba` where they are named. The collector of garbage,
    which would look at the many new objects for up to half a second at a time, rests until the job has ended
    (`lent`). Numba compiles for the first time here. Raises `ImportError` as `import` does.
    """
    with _LOADING, lent():
        if all(name in sys.modules for name in modules):
            return
        collects = gc.isenabled()
        gc.disable()
        try:
            for name in _BINARIES.keys() & {*modules}:
                _map_binaries(*_BINARIES[name])
            for name in modules:
                import_module(name)
            if "numba" in modules:
                import_module("numba").njit("void()")(lambda: None)
        finally:
            if not _PROCESS.frozen:
                gc.freeze()
            if collects:
                gc.enable()


def _map_binaries(package: str, libraries: dict[str, int]) -> None:
    """Map large shared libraries as their package would, but without Python's lock; else import does it."""
    if os.name != "posix" or package in sys.modules:
        return
    found = find_spec(package)
    if found is None or found.origin is None:
        return
    ending = "dylib" if sys.platform == "darwin" else "so"
    linker = ctypes.CDLL(None).dlopen
    linker.restype, linker.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    for library, visible in libraries.items():
        linker(os.fsencode(Path(found.origin).parent / f"{library}.{ending}"), os.RTLD_NOW | visible)
