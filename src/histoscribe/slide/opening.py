"""Opening a slide: the backend is chosen by what the file holds, not by its ending."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from histoscribe.errors import SettingError, SlideError
from histoscribe.slide import image, tiff
from histoscribe.slide.model import Slide
from histoscribe.slide.pyramid import complete

_HEAD = 4096


class Backend(Protocol):
    """A module that reads one family of files."""

    def accepts(self, head: bytes) -> bool:
        """Whether a file that starts with `head` is one of them."""
        ...

    def read(self, path: Path) -> Slide:
        """Open it with the levels that the file has; raise `SlideError` if that fails."""
        ...


BACKENDS: tuple[Backend, ...] = (tiff, image)
"""Asked in this order."""


def open_slide(path: str | os.PathLike[str], *, mpp: float | None = None) -> Slide:
    """Open a slide or a section-sized image.

    Parameters
    ----------
    path : str or path
        SVS, SCN, QPTIFF, Philips TIFF, OME-TIFF, any other tiled or small TIFF, JPEG or PNG.
    mpp : float, optional
        µm per full-resolution pixel; overrides what the file says.

    Returns
    -------
    Slide
        Its levels go down to at most 1,024 pixels along the longest side.

    Raises
    ------
    SlideError
        If the file cannot be read, or is damaged beyond use.
    SettingError
        If `mpp` is not a positive number.
    """
    if mpp is not None and not (math.isfinite(mpp) and mpp > 0):
        raise SettingError(f"{mpp} µm per pixel is not possible", remedy="give a positive number")
    path = Path(path)
    head = _head(path)
    for backend in BACKENDS:
        if backend.accepts(head):
            slide = backend.read(path)
            break
    else:
        raise SlideError(
            "not a slide that can be read",
            where=path,
            remedy="give a TIFF-based slide (SVS, SCN, QPTIFF, Philips, OME-TIFF), a JPEG or a PNG",
        )
    return _with_mpp(replace(slide, levels=complete(slide.levels, path)), mpp)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except FileNotFoundError:
        raise SlideError("there is no such file", where=path, remedy="check the path") from None
    except IsADirectoryError:
        raise SlideError("this is a folder, not a slide", where=path, remedy="give the image file") from None
    except OSError as error:
        raise SlideError(
            f"cannot be opened ({error.strerror})", where=path, remedy="check its rights"
        ) from error
    if not head:
        raise SlideError("the file is empty", where=path, remedy="copy it again")
    return head


def _with_mpp(slide: Slide, mpp: float | None) -> Slide:
    doubts = slide.warnings
    if mpp is None:
        if slide.mpp is None:
            doubts += ("the µm per pixel are unknown",)
        return replace(slide, warnings=doubts)
    if slide.mpp is not None and abs(mpp / slide.mpp - 1) > 0.1:
        doubts += (f"{mpp:.4g} µm per pixel were stated, but the file says {slide.mpp:.4g}",)
    return replace(slide, mpp=mpp, warnings=doubts)
