"""Plain JPEG and PNG images of section size: decoded once, when first looked at."""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError, told_as
from histoscribe.slide.colour import GREY, TRANSPARENT, to_rgb, upper_bytes
from histoscribe.slide.encoded import END, JPEG, PNG, jpeg_extent, png_extent
from histoscribe.slide.model import Slide
from histoscribe.slide.orientation import TURNED, exif_orientation, is_turned, upright
from histoscribe.slide.pixels import MAX_DECODE, TO_PYRAMID, DecodedPixels
from histoscribe.slide.pyramid import Level


def read(path: Path) -> Slide:
    """Open an image as a slide of one level; µm per pixel are unknown.

    Raises `SlideError` if the image is damaged, or larger than can be decoded at once.
    """
    with path.open("rb") as stream:
        extent = (png_extent if stream.read(len(PNG)) == PNG else jpeg_extent)(stream)
    if extent is None:
        remedy = "copy or export it again"
        raise SlideError("the image ends before its size is stated", where=path, remedy=remedy)
    rows, columns, samples = extent
    if rows < 1 or columns < 1:
        raise SlideError(f"claims {rows} × {columns} pixels", where=path, remedy="export the image again")
    if rows * columns > MAX_DECODE:
        problem = f"{rows} × {columns} pixels are too many for a plain image"
        raise SlideError(problem, where=path, remedy=TO_PYRAMID)
    orientation = exif_orientation(path)
    decode = partial(_decode, path, (rows, columns), orientation)
    doubts = [TURNED] if is_turned(orientation) else []
    doubts += [GREY] if samples in (1, 2) else []
    doubts += [TRANSPARENT] if samples in (2, 4) else []
    if orientation > 4:
        rows, columns = columns, rows
    pixels = DecodedPixels(rows, columns, decode)
    return Slide(path=path, levels=(Level(pixels, 1.0),), vendor="plain image", warnings=tuple(doubts))


def _decode(path: Path, extent: tuple[int, int], orientation: int) -> NDArray[np.uint8]:
    from imagecodecs import jpeg8_decode, png_decode

    wrong, remedy = (RuntimeError, ValueError, OSError), "copy or export it again"
    with told_as(SlideError, "the image cannot be decoded", *wrong, where=path, remedy=remedy):
        data = path.read_bytes()
        if data.startswith(JPEG) and data.rfind(END) < len(data) // 2:
            raise ValueError("it is cut off")  # which the decoder would fill with grey
        pixels = np.asarray((jpeg8_decode if data.startswith(JPEG) else png_decode)(data))
    if pixels.shape[:2] != extent or (pixels.ndim == 3 and pixels.shape[2] > 4):
        problem = f"decodes to {pixels.shape}, not to the {extent} it claims"
        raise SlideError(problem, where=path, remedy="export it again")
    if data.startswith(JPEG) and pixels.shape[2:] == (4,):
        raise SlideError("a JPEG for print (CMYK)", where=path, remedy="export it again as RGB")
    if pixels.dtype == np.uint16:
        pixels = upper_bytes(pixels, path)
    return np.ascontiguousarray(upright(to_rgb(pixels), orientation))
