"""Loops over pixels, compiled once for this machine and kept on disk for the next start."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba import njit

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a loop over arrays at its first call; it runs beside other threads.

    Rounding stays as written: nothing is reordered or contracted, so every machine gives the same
    digits.
    """
    try:
        ready: Callable[P, R] = njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder in which it could be kept may be written to
        ready = njit(nogil=True)(function)
    return ready
