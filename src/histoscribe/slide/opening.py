"""Opening a slide: who reads it is decided by what the file holds, not by its ending."""

import math
import os
from dataclasses import replace
from pathlib import Path

from histoscribe.errors import HistoscribeError, SettingError, SlideError
from histoscribe.formats import WORDS, find, kind_of, located
from histoscribe.slide.model import UNSCALED, Slide
from histoscribe.slide.pyramid import complete

_READABLE = (
    "give a TIFF-based slide (SVS, SCN, QPTIFF, Philips, OME-TIFF), one that OpenSlide reads (NDPI, MRXS, "
    "BIF, VMS, CZI, DICOM), an OME-Zarr folder or URL, a JPEG or a PNG"
)


def open_slide(path: str | os.PathLike[str], *, mpp: float | None = None) -> Slide:
    """Open a slide or a section-sized image.

    Parameters
    ----------
    path : str or path
        SVS, SCN, QPTIFF, Philips TIFF, OME-TIFF, any other tiled or small TIFF; NDPI, MRXS, BIF, VMS,
        CZI, DICOM (a file or its folder); an OME-Zarr folder or its URL; JPEG or PNG; what other packages
        add to `histoscribe.formats`.
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
    known = find(path, "slide")
    if known is None:
        raise SlideError(_what_else(path), where=path, remedy=_READABLE)
    slide: Slide = known.open(located(path))
    doubts = slide.warnings
    if mpp is None and slide.mpp is None:
        doubts += (UNSCALED,)
    elif mpp is not None and slide.mpp is not None and abs(mpp / slide.mpp - 1) > 0.1:
        doubts += (f"{mpp:.4g} µm per pixel were stated, but the file says {slide.mpp:.4g}",)
    levels = complete(slide.levels, slide.path)
    return replace(slide, levels=levels, mpp=mpp or slide.mpp, warnings=doubts)


def _what_else(place: str | os.PathLike[str]) -> str:
    try:
        return f"this is {WORDS[kind_of(place)]}, not a slide"
    except HistoscribeError:
        return "this folder holds no slide" if Path(place).is_dir() else "not a slide that can be read"
