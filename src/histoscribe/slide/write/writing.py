"""Writing a slide: as a pyramidal OME-TIFF or as OME-Zarr 0.5, told by the ending."""

from __future__ import annotations

import os
from pathlib import Path

from histoscribe.errors import SettingError
from histoscribe.progress import Progress
from histoscribe.slide.model import Slide
from histoscribe.slide.write.ome_tiff import write_ome_tiff
from histoscribe.slide.write.ome_zarr import write_ome_zarr

_TIFF_ENDINGS = (".tif", ".tiff")
_ZARR_ENDING = ".zarr"


def write_slide(
    slide: Slide,
    path: str | os.PathLike[str],
    *,
    quality: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write a slide with all its levels; whole or not at all.

    Pixels, µm per pixel, level factors, objective, maker and ICC profile come back as they were; label and
    macro image are left out, because a label may name the patient. A slide whose finest level is a reduced
    image becomes one whose full resolution is that image.

    Parameters
    ----------
    slide : Slide
        The slide.
    path : path
        Ends in `.tif` or `.tiff` (OME-TIFF) or `.zarr` (OME-Zarr 0.5).
    quality : int, optional
        1 to 100: compress as JPEG, smaller and with loss. Without it, nothing is lost. OME-TIFF only.
    progress : Progress, optional
        Told about tiles; a cancelled OME-Zarr goes on from there when it is written again.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    SettingError
        If the ending or the quality is not possible.
    SlideError
        If the slide cannot be read.
    StorageError
        If there is no room, or no permission.
    Cancelled
        If `progress` says so.
    """
    target = Path(path)
    ending = target.suffix.lower()
    if quality is not None and not 1 <= quality <= 100:
        raise SettingError(f"a JPEG quality of {quality} is not possible", remedy="give 1 to 100")
    if ending not in (*_TIFF_ENDINGS, _ZARR_ENDING):
        problem = "a slide is written as OME-TIFF or OME-Zarr"
        raise SettingError(problem, where=target, remedy="let the name end in .ome.tif or .ome.zarr")
    source, outer = slide.path.resolve(), target.resolve()
    if not slide.url and outer in (source, *source.parents):
        raise SettingError("the slide would replace itself", where=target, remedy="choose another name")
    if ending == _ZARR_ENDING:
        if quality is not None:
            problem = "OME-Zarr is written without loss"
            raise SettingError(problem, where=target, remedy="leave the quality out, or write .ome.tif")
        write_ome_zarr(slide, target, progress=progress)
    else:
        write_ome_tiff(slide, target, quality=quality, progress=progress)
    return target
