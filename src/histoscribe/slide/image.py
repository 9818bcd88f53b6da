"""Plain JPEG and PNG images of section size: decoded once, when first looked at."""

from __future__ import annotations

import struct
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError
from histoscribe.slide.model import Level, Slide
from histoscribe.slide.pixels import MAX_DECODE, TO_PYRAMID, DecodedPixels, to_rgb

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start-of-frame markers of ITU T.81, table B.1
_BARE = frozenset(range(0xD0, 0xD9)) | {0x01}  # markers without a length


def accepts(path: Path, head: bytes) -> bool:
    """Whether a file that starts with `head` is a JPEG or PNG image."""
    return head.startswith((_JPEG, _PNG))


def read(path: Path) -> Slide:
    """Open an image as a slide of one level; µm per pixel are unknown.

    Raises
    ------
    SlideError
        If the image is damaged, or larger than can be decoded at once.
    """
    rows, columns = _extent(path)
    if rows < 1 or columns < 1:
        raise SlideError(f"claims {rows} × {columns} pixels", where=path, remedy="export the image again")
    if rows * columns > MAX_DECODE:
        raise SlideError(
            f"{rows} × {columns} pixels are too many for a plain image",
            where=path,
            remedy=TO_PYRAMID,
        )
    pixels = DecodedPixels(rows, columns, partial(_decode, path, (rows, columns)))
    return Slide(path=path, levels=(Level(pixels, 1.0),), vendor="plain image")


def _decode(path: Path, extent: tuple[int, int]) -> NDArray[np.uint8]:
    from imagecodecs import jpeg8_decode, png_decode

    try:
        data = path.read_bytes()
        pixels = np.asarray((jpeg8_decode if data.startswith(_JPEG) else png_decode)(data))
    except (RuntimeError, ValueError, OSError) as error:
        raise SlideError(
            f"the image cannot be decoded ({error})", where=path, remedy="copy or export it again"
        ) from error
    if pixels.shape[:2] != extent or (pixels.ndim == 3 and pixels.shape[2] > 4):
        raise SlideError(
            f"decodes to {pixels.shape}, not to the {extent} it claims", where=path, remedy="export it again"
        )
    if data.startswith(_JPEG) and pixels.shape[2:] == (4,):
        raise SlideError("a JPEG for print (CMYK)", where=path, remedy="export it again as RGB")
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    return np.ascontiguousarray(to_rgb(pixels))


def _extent(path: Path) -> tuple[int, int]:
    """Rows and columns, from the header alone."""
    with path.open("rb") as stream:
        if stream.read(8) == _PNG:
            header = stream.read(16)
            if len(header) == 16 and header[4:8] == b"IHDR":
                columns, rows = struct.unpack(">II", header[8:])
                return rows, columns
            raise _cut_off(path)
        stream.seek(2)
        while len(marker := stream.read(2)) == 2 and marker[0] == 0xFF:
            if marker[1] == 0xFF:  # padding
                stream.seek(-1, 1)
                continue
            if marker[1] in _BARE:
                continue
            length = stream.read(2)
            if len(length) < 2:
                break
            if marker[1] in _FRAMES:
                frame = stream.read(5)
                if len(frame) < 5:
                    break
                rows, columns = struct.unpack(">HH", frame[1:])
                return rows, columns
            stream.seek(max(0, struct.unpack(">H", length)[0] - 2), 1)
    raise _cut_off(path)


def _cut_off(path: Path) -> SlideError:
    return SlideError(
        "the image ends before its size is stated", where=path, remedy="copy or export it again"
    )
