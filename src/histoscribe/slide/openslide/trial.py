"""A trial in a process of its own: some damaged files make OpenSlide end the program that reads them."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from histoscribe.errors import SlideError
from histoscribe.slide.tiled import COPY_AGAIN

_SECONDS = 10
_MEMORY = 3 * 2**29  # bytes of address space
_PROBES = 4
_TRIAL = f"""
import contextlib, sys
with contextlib.suppress(ImportError, ValueError, OSError):
    import resource
    resource.setrlimit(resource.RLIMIT_AS, ({_MEMORY}, {_MEMORY}))
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


def try_out(path: Path) -> None:
    """Open a slide and read a few pixels in another process; what it reports itself is no matter here.

    Raises
    ------
    SlideError
        If that process died, took more than 1.5 GB or more than 10 seconds.
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
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"OpenSlide does not come to an end with it in {_SECONDS} s"
    return "OpenSlide breaks down on it; it is damaged" if done.returncode else ""
