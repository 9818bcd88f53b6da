"""Colours: what is stored as RGB on white glass, and the scanner's ICC profile."""

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError, told_as
from histoscribe.slide.model import Slide
from histoscribe.slide.pixels import WHITE, PixelArray, RgbPixels
from histoscribe.slide.pyramid import Level

TRANSPARENT = "it has an alpha channel: what is transparent is laid on white"
DYES = re.compile(r"fluor|dapi|hoechst|fitc|tritc|cy[2357]\b|alexa|gfp|rfp", re.IGNORECASE)
"""What channels of fluorescence are called."""
RGB = ("FF0000", "00FF00", "0000FF")
"""Hexadecimal colours of red, green and blue channels."""
_CAMERA_BITS = 12
GREY = "it is a grey image: a model of stained tissue does not fit it"


def to_rgb(
    pixels: NDArray[np.uint8], *, alpha: bool = True, premultiplied: bool = False
) -> NDArray[np.uint8]:
    """Repeat grey and lay what is transparent on white.

    `pixels` (rows, columns): grey, grey and alpha, RGB, or RGB and alpha. `alpha`: whether a second or fourth
    sample is alpha; it is left out otherwise. `premultiplied`: whether colours are multiplied with alpha
    already (associated alpha of TIFF). Returns (rows, columns, 3).
    """
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    samples = pixels.shape[2]
    colour = pixels[:, :, :3] if samples > 2 else np.repeat(pixels[:, :, :1], 3, axis=2)
    opacity = pixels[:, :, samples - 1 :]
    if not alpha or samples not in (2, 4) or opacity.min(initial=255) == 255:
        return colour
    share = opacity.astype(np.uint32)
    mixed = colour * (np.uint32(255) if premultiplied else share) + WHITE * (255 - share)
    rgb: NDArray[np.uint8] = np.minimum((mixed + 127) // 255, 255).astype(np.uint8)
    return rgb


def upper_bytes(pixels: NDArray[np.uint16], where: str | PathLike[str]) -> NDArray[np.uint8]:
    """The upper bytes of 16-bit colours, shape (rows, columns) or (rows, columns, samples).

    Raises `SlideError` if they fill no more than 12 bits, as cameras of 10 or 12 bits write them: they would
    be nearly black.
    """
    colours = pixels[..., : 3 if pixels.shape[-1] > 2 else 1] if pixels.ndim == 3 else pixels
    bits = int(colours.max(initial=0)).bit_length()
    if 0 < bits <= _CAMERA_BITS:
        problem = f"its 16-bit colours fill {bits} bits only, and would be nearly black"
        raise SlideError(problem, where=where, remedy="export it with 8 bits a colour")
    return (pixels >> 8).astype(np.uint8)


def is_mixed(names: Sequence[str], colours: Sequence[str]) -> bool:
    """Whether channels say, by their names or colours, that they are red, green and blue in another order."""
    initials = [name.strip()[:1].lower() for name in names[:3]]
    stated = (initials, list("rgb")), (list(colours[:3]), list(RGB))
    return any(found != order and sorted(found) == sorted(order) for found, order in stated)


def from_ycc(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn YCbCr of full range (ITU-R BT.601, as in JFIF) into RGB; shape (rows, columns, 3)."""
    luma, blue, red = np.moveaxis(pixels[:, :, :3] - np.array((0, 128, 128), np.float32), 2, 0)
    mixed = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    return np.stack(mixed, axis=2).round().clip(0, 255).astype(np.uint8)


def profile_bytes(slide: Slide) -> bytes | None:
    """The slide's ICC profile; None without one, or with one that cannot be read."""
    try:
        return slide.profile() if slide.profile is not None else None
    except SlideError:
        return None


def in_srgb(slide: Slide) -> Slide:
    """The same slide in sRGB, as its ICC profile says; nothing is read yet.

    For looking at: models and descriptors take the pixels as they are in the file. Raises `SlideError`
    if the slide has no profile, or none for RGB.
    """
    from PIL import ImageCms

    remedy = "look at its colours as they are"
    if slide.profile is None:
        raise SlideError("holds no ICC profile", where=slide.source, remedy=remedy)
    wrong = (OSError, ImageCms.PyCMSError)
    with told_as(SlideError, "its ICC profile cannot be used", *wrong, where=slide.source, remedy=remedy):
        own = ImageCms.ImageCmsProfile(io.BytesIO(slide.profile()))
        transform: Any = ImageCms.buildTransform(own, ImageCms.createProfile("sRGB"), "RGB", "RGB")
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
