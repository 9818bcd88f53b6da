"""Loops over pixels, compiled once for this machine and kept on disk for the next start."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba  # type: ignore[import-untyped]

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a loop over arrays at its first call; it runs beside other threads.

    Rounding stays as written: nothing is reordered or contracted, so every machine gives the same
    digits.
    """
    options = {"nogil": True, "fastmath": False}
    try:
        ready: Callable[P, R] = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder in which it could be kept may be written to
        ready = numba.njit(**options)(function)
    return ready
