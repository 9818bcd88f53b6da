"""What encoded images say of themselves: their kind, and how many pixels they claim to hold.

Asked before a decoder makes room for them.
"""

import io
import struct
from typing import BinaryIO

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
END = b"\xff\xd9"
"""Last marker of a JPEG or a JPEG 2000 codestream; it cannot stand within their pixels."""

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start-of-frame markers of ITU T.81, table B.1
_BARE = frozenset(range(0xD0, 0xD9)) | {0x01}  # markers without a length
_PNG_SAMPLES = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # by colour type
_TAIL = 64  # bytes among which the end of an image is looked for, as some writers fill up after it
_J2K = b"\xff\x4f\xff\x51"  # start of codestream and its size marker, ITU T.800, annex A

BY_HEADER = {6: "JPEG", 7: "JPEG", 33003: "J2K", 33004: "J2K", 33005: "J2K", 34712: "J2K", 34933: "PNG"}
"""Compressions of TIFF whose tiles state an extent of their own, which may differ from the tile's."""
KNOWN = frozenset((1, 5, 8, 32773, 32946, 34926, 50000, *BY_HEADER))
"""These and none, LZW, deflate, PackBits, Zstandard, which tifffile unfolds into a tile and no more."""

HEADER = 2**17
"""Bytes from which an extent can be told; ICC profiles and comments before it may take some."""


def check_tile(compression: int, data: bytes, height: int, width: int) -> None:
    """Raise `ValueError` if a compressed tile claims more than `height` × `width` pixels."""
    kind = BY_HEADER.get(compression)
    if kind is None:
        return
    if kind == "J2K":
        found = _j2k_extent(data)
    else:
        found = (jpeg_extent if kind == "JPEG" else png_extent)(io.BytesIO(data[:HEADER]))
    if found is None:
        raise ValueError("the tile does not say how large it is")
    if found[0] > height or found[1] > width:
        raise ValueError(f"a tile of {height} × {width} pixels claims to hold {found[0]} × {found[1]}")


def is_closed(compression: int, data: bytes) -> bool:
    """Whether a compressed tile has its end: decoders fill what follows a cut with grey and say nothing."""
    return BY_HEADER.get(compression) not in ("JPEG", "J2K") or END in data[-_TAIL:]


def jpeg_extent(stream: BinaryIO) -> tuple[int, int, int] | None:
    """Rows, columns and samples of a JPEG from its header; None where it ends or is damaged before."""
    stream.seek(2)
    while len(marker := stream.read(2)) == 2 and marker[0] == 0xFF:
        if marker[1] == 0xFF:  # padding
            stream.seek(-1, io.SEEK_CUR)
            continue
        if marker[1] in _BARE:
            continue
        length = stream.read(2)
        if len(length) < 2:
            break
        if marker[1] in _FRAMES:
            frame = stream.read(6)
            return None if len(frame) < 5 else (*struct.unpack(">HH", frame[1:5]), (frame[5:] or b"\3")[0])
        stream.seek(max(0, struct.unpack(">H", length)[0] - 2), io.SEEK_CUR)
    return None


def png_extent(stream: BinaryIO) -> tuple[int, int, int] | None:
    """Rows, columns and samples of a PNG from its header; None where it ends or is damaged before."""
    stream.seek(8)
    header = stream.read(18)
    if len(header) < 16 or header[4:8] != b"IHDR":
        return None
    columns, rows = struct.unpack(">II", header[8:16])
    return rows, columns, _PNG_SAMPLES.get(header[17] if len(header) > 17 else 2, 3)


def _j2k_extent(data: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and samples of a JPEG 2000 codestream, each of at most four components at full size."""
    if not data.startswith(_J2K) or len(data) < 42:
        return None
    right, bottom, left, top = struct.unpack(">IIII", data[8:24])
    components = struct.unpack(">H", data[40:42])[0]
    sensible = left < right and top < bottom and components <= 4
    return (bottom - top, right - left, components) if sensible else None
