"""Opening a slide: the backend is chosen by what the file holds, not by its ending."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from histoscribe.errors import SettingError, SlideError
from histoscribe.slide import image
from histoscribe.slide.model import Slide
from histoscribe.slide.openslide import backend as openslide_files
from histoscribe.slide.pyramid import complete
from histoscribe.slide.tiff import backend as tiff
from histoscribe.slide.zarr import backend as ome_zarr
from histoscribe.slide.zarr.place import remote_url

_HEAD = 4096
_READABLE = (
    "give a TIFF-based slide (SVS, SCN, QPTIFF, Philips, OME-TIFF), one that OpenSlide reads (NDPI, MRXS, "
    "BIF, VMS, CZI, DICOM), an OME-Zarr folder or URL, a JPEG or a PNG"
)


class Backend(Protocol):
    """A module that reads one family of files."""

    def accepts(self, path: Path, head: bytes) -> bool:
        """Whether `path`, a file that starts with `head` or a folder, is one of them."""
        ...

    def read(self, path: Path) -> Slide:
        """Open it with the levels that the file has; raise `SlideError` if that fails."""
        ...


BACKENDS: tuple[Backend, ...] = (ome_zarr, openslide_files, tiff, image)
"""Asked in this order."""


def open_slide(path: str | os.PathLike[str], *, mpp: float | None = None) -> Slide:
    """Open a slide or a section-sized image.

    Parameters
    ----------
    path : str or path
        SVS, SCN, QPTIFF, Philips TIFF, OME-TIFF, any other tiled or small TIFF; NDPI, MRXS, BIF, VMS,
        CZI, DICOM (a file or its folder); an OME-Zarr folder or its URL; JPEG or PNG.
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
    DependencyError
        If the file needs a package that is not installed.
    """
    if mpp is not None and not (math.isfinite(mpp) and mpp > 0):
        raise SettingError(f"{mpp} µm per pixel is not possible", remedy="give a positive number")
    slide = _read(path)
    return _with_mpp(replace(slide, levels=complete(slide.levels, slide.path)), mpp)


def _read(place: str | os.PathLike[str]) -> Slide:
    url = remote_url(place)
    if url is not None and not url.startswith("file://"):
        return ome_zarr.read_url(url)
    path = Path(place if url is None else url.removeprefix("file://"))
    head = _head(path)
    for backend in BACKENDS:
        if backend.accepts(path, head):
            return backend.read(path)
    if path.is_dir():
        raise SlideError("this folder holds no slide", where=path, remedy="give the image file")
    raise SlideError("not a slide that can be read", where=path, remedy=_READABLE)


def _head(path: Path) -> bytes:
    """The file's first bytes; none of a folder."""
    if path.is_dir():
        return b""
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except FileNotFoundError:
        raise SlideError("there is no such file", where=path, remedy="check the path") from None
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
