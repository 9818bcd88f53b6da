"""Writing a slide as a pyramidal, tiled, JPEG-compressed TIFF that any slide reader opens."""

from __future__ import annotations

from os import PathLike

import numpy as np

from histoscribe.errors import SlideError
from histoscribe.files import replacing
from histoscribe.slide import Slide

_TILE = 256


def write_pyramid(slide: Slide, path: str | PathLike[str], *, quality: int = 80) -> None:
    """Write all levels of a slide into one TIFF, one page a level, atomically.

    Parameters
    ----------
    slide : Slide
        Its µm per pixel become the TIFF's resolution. Each level is held in memory in turn, so this is
        for small slides.
    quality : int
        Of the JPEG tiles, 1 to 100.

    Raises
    ------
    SlideError
        If the µm per pixel are unknown.
    StorageError
        If the file cannot be written.
    """
    import tifffile

    if slide.mpp is None:
        raise SlideError("the µm per pixel are unknown", where=slide.path, remedy="state them")
    with replacing(path) as fresh, tifffile.TiffWriter(fresh) as tiff:
        for number, level in enumerate(slide.levels):
            per_cm = 1e4 / (slide.mpp * level.downsample)
            tiff.write(
                np.asarray(level.pixels[:]),
                photometric="rgb",
                tile=(_TILE, _TILE),
                compression="jpeg",
                compressionargs={"level": quality},
                subsampling=(2, 2),
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                subfiletype=1 if number else 0,
                software="histoscribe",
                metadata=None,
            )
