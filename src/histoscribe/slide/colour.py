"""Colours as the scanner meant them: its ICC profile applied as pixels are read."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError
from histoscribe.slide.model import Level, PixelArray, Slide
from histoscribe.slide.pixels import RgbPixels
from histoscribe.slide.reasons import reason_of


def in_srgb(slide: Slide) -> Slide:
    """The same slide in sRGB, as its ICC profile says; nothing is read yet.

    For looking at: models and descriptors take the pixels as they are in the file.

    Raises
    ------
    SlideError
        If the slide has no profile, or none for RGB.
    """
    from PIL import ImageCms

    if slide.profile is None:
        raise SlideError("holds no ICC profile", where=slide.source, remedy="look at its colours as they are")
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(slide.profile()))
        transform: Any = ImageCms.buildTransform(own, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    except (OSError, ImageCms.PyCMSError) as error:
        raise SlideError(
            f"its ICC profile cannot be used ({reason_of(error)})",
            where=slide.source,
            remedy="look at its colours as they are",
        ) from error
    levels = tuple(Level(_Managed(level.pixels, transform), level.downsample) for level in slide.levels)
    return replace(slide, levels=levels, profile=None)


class _Managed(RgbPixels):
    """A level whose colours go through an ICC transform."""

    def __init__(self, source: PixelArray, transform: Any) -> None:
        super().__init__(source.shape[0], source.shape[1], (source.chunks[0], source.chunks[1]))
        self._source, self._transform = source, transform

    def block(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """See `RgbPixels.block`."""
        from PIL import Image, ImageCms

        image = Image.fromarray(np.ascontiguousarray(self._source[top:bottom, left:right]))
        return np.asarray(ImageCms.applyTransform(image, self._transform))
