"""OpenSlide kept from harm: a trial in another process, a handle per thread, a new one after a read error."""

import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from histoscribe.errors import DependencyError, SlideError, told_as
from histoscribe.slide.pixels import COPY_AGAIN

T = TypeVar("T")

FLOOR = (4, 0, 1)
"""Older libraries write outside their memory when given a crafted Ventana file (CVE-2026-48977)."""

_INSTALL = "pip install 'napari-histoscribe[slides]'"
_OWN_CACHE = 32 * 2**20  # bytes of decoded tiles that all handles keep together; the slide's store keeps more

_TRIAL_SECONDS = 10
_TRIAL_MEMORY = 3 * 2**29  # bytes of address space
_PROBES = 4
_TRIAL = f"""
import contextlib, sys
with contextlib.suppress(ImportError, ValueError, OSError):
    import resource
    resource.setrlimit(resource.RLIMIT_AS, ({_TRIAL_MEMORY}, {_TRIAL_MEMORY}))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
try:
    import openslide
except ImportError:  # found by this program in a way that its child does not know: no trial then
    sys.exit()
with contextlib.suppress(openslide.OpenSlideError):
    slide = openslide.OpenSlide(sys.argv[1])
    for level, ((width, height), factor) in enumerate(zip(slide.level_dimensions, slide.level_downsamples)):
        for part in range({_PROBES}):
            corner = [int(side * factor * part / {_PROBES}) for side in (width, height)]
            slide.read_region(corner, level, (1, 1))
"""


@cache
def library() -> ModuleType:
    """OpenSlide's Python module, in a version that may be used.

    Raises `DependencyError` if it is not installed, or its library is older than `FLOOR`.
    """
    needed, remedy = "this slide needs OpenSlide, which is not installed", f"install it: {_INSTALL}"
    with told_as(DependencyError, needed, ImportError, OSError, remedy=remedy, reason=False):
        import openslide
    check_version(openslide.__library_version__)
    module: ModuleType = openslide
    return module


def check_version(version: str) -> None:
    """Raise `DependencyError` if a version of the OpenSlide library is older than `FLOOR`."""
    numbers = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    if numbers < FLOOR:
        problem = f"OpenSlide {version} can be made to write outside its memory by a crafted slide"
        raise DependencyError(problem, remedy=f"install {'.'.join(map(str, FLOOR))} or newer: {_INSTALL}")


def try_out(path: Path) -> None:
    """Open a slide and read a few pixels in another process: some damaged files end the one that reads them.

    What OpenSlide itself reports there is no matter. Raises `SlideError` if that process died, took more
    than 1.5 GB or more than 10 seconds.
    """
    about = path.stat()
    problem = _trial(str(path.absolute()), about.st_size, about.st_mtime_ns)
    if problem:
        raise SlideError(problem, where=path, remedy=COPY_AGAIN)


@lru_cache(maxsize=256)
def _trial(path: str, size: int, changed: int) -> str:
    command = [sys.executable, "-I", "-c", _TRIAL, path]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TRIAL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"OpenSlide does not come to an end with it in {_TRIAL_SECONDS} s"
    return "OpenSlide breaks down on it; it is damaged" if done.returncode else ""


class Handles:
    """One open handle per thread on the same slide."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()

    def use(self, work: Callable[[Any], T]) -> T:
        """Call `work` with this thread's handle; once more with a new one if OpenSlide fails.

        Raises `openslide.OpenSlideError` if it fails with a new handle, too; `SlideError` if the slide
        can no longer be opened.
        """
        handle = getattr(self._own, "handle", None)
        if handle is not None:
            try:
                return work(handle)
            except library().OpenSlideError:
                self._drop()
        try:
            return work(self._open())
        except library().OpenSlideError:
            self._drop()
            raise

    def _open(self) -> Any:
        openslide = library()
        failed = (openslide.OpenSlideError, OSError)
        with told_as(SlideError, "OpenSlide cannot open it", *failed, where=self._path, remedy=COPY_AGAIN):
            handle = openslide.OpenSlide(self._path)
        handle.set_cache(_shared_cache())
        self._own.handle = handle
        return handle

    def _drop(self) -> None:
        self._own.handle.close()
        self._own.handle = None


@cache
def _shared_cache() -> Any:
    return library().OpenSlideCache(_OWN_CACHE)
