"""How a stored image is to be turned: the orientation of TIFF and EXIF, applied to its pixels."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histoscribe.slide.encoded import JPEG
from histoscribe.slide.pixels import PixelArray, RgbPixels

TAG = 274
"""Number of the orientation's tag, in TIFF as in EXIF."""

TURNED = "it is turned upright as its orientation tag says"

# by what the tag says: whether rows and columns are exchanged, and then rows and columns reversed
_STEPS = {
    2: (False, False, True), 3: (False, True, True), 4: (False, True, False), 5: (True, False, False),
    6: (True, False, True), 7: (True, True, True), 8: (True, True, False),
}  # fmt: skip


def is_turned(orientation: int) -> bool:
    """Whether an image of this orientation (1 to 8) is stored otherwise than upright."""
    return orientation in _STEPS


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """A stored image as it is to be seen; shape (rows, columns, 3), a view."""
    exchanged, down, across = _STEPS.get(orientation, (False, False, False))
    if exchanged:
        pixels = pixels.swapaxes(0, 1)
    return pixels[:: -1 if down else 1, :: -1 if across else 1]


def exif_orientation(path: Path) -> int:
    """The orientation that a JPEG or PNG states in its EXIF data; 1 where it states none."""
    from PIL.Image import Exif
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile

    try:
        with path.open("rb") as stream:
            image = (JpegImageFile if stream.peek(3).startswith(JPEG) else PngImageFile)(stream)
            exif = Exif()
            exif.load(image.info.get("exif", b""))
            found = exif.get(TAG, 1)
    except Exception:  # a damaged image may fail anywhere; the decoder says how
        return 1
    return found if isinstance(found, int) and is_turned(found) else 1


class UprightPixels(RgbPixels):
    """A level as it is to be seen.

    `source`: the level as it is stored; `orientation`: 2 to 8, as in TIFF and EXIF.
    """

    def __init__(self, source: PixelArray, orientation: int) -> None:
        self._source, self._orientation = source, orientation
        self._exchanged, self._down, self._across = _STEPS[orientation]
        order = (1, 0) if self._exchanged else (0, 1)
        rows, columns = (source.shape[axis] for axis in order)
        super().__init__(rows, columns, (source.chunks[order[0]], source.chunks[order[1]]))

    def block(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """See `RgbPixels.block`."""
        if self._down:
            top, bottom = self.shape[0] - bottom, self.shape[0] - top
        if self._across:
            left, right = self.shape[1] - right, self.shape[1] - left
        if self._exchanged:
            top, left, bottom, right = left, top, right, bottom
        return upright(self._source[top:bottom, left:right], self._orientation)
