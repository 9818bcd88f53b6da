"""Hostile TIFFs: loops, claims and bombs end in one sentence or a marked tile, soon and in little memory."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest
import tifffile

from histoscribe.errors import SlideError
from histoscribe.slide import open_slide
from histoscribe.slide.tiled import BROKEN, BrokenTileWarning

DATA = 4096  # where the tiles start in the files made here


def tiff(*tags: tuple[int, int, int, int], data: bytes = b"", following: int = 0) -> bytes:
    """A TIFF of one directory: tags of (code, type, count, value or offset), then `data`."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", following)
    return head.ljust(DATA, b"\0") + data


def tiles(compression: int, data: bytes, *, side: int = 512, photometric: int = 2) -> tuple:
    """Tags of an RGB image in four tiles of 256, all of them `data`."""
    place = DATA - 64
    return (
        (256, 4, 1, side),
        (257, 4, 1, side),
        (258, 3, 1, 8),
        (259, 3, 1, compression),
        (262, 3, 1, photometric),
        (277, 3, 1, 3),
        (322, 4, 1, 256),
        (323, 4, 1, 256),
        (324, 4, 4, place),
        (325, 4, 4, place + 16),
    )


def image(compression: int, bad: bytes, good: bytes | None = None, *extra: tuple, **options: int) -> bytes:
    """Four tiles: the second is `bad`, the others `good` (or `bad`)."""
    good = bad if good is None else good
    parts = [good, bad, good, good]
    starts = np.cumsum([DATA, *(len(part) for part in parts)])[:-1]
    content = bytearray(tiff(*tiles(compression, bad, **options), *extra, data=b"".join(parts)))
    content[DATA - 64 : DATA - 48] = struct.pack("<4I", *starts)
    content[DATA - 48 : DATA - 32] = struct.pack("<4I", *(len(part) for part in parts))
    return bytes(content)


def jpeg(rows: int = 256, columns: int = 256) -> bytes:
    """A JPEG of 256 × 256 pixels that claims another size."""
    data = bytearray(imagecodecs.jpeg8_encode(np.full((256, 256, 3), 90, np.uint8)))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", rows, columns)
    return bytes(data)


def j2k(rows: int = 256, columns: int = 256) -> bytes:
    """A JPEG 2000 codestream of 256 × 256 pixels that claims another size."""
    data = bytearray(imagecodecs.jpeg2k_encode(np.full((256, 256, 3), 90, np.uint8), codecformat="j2k"))
    data[8:16] = struct.pack(">II", columns, rows)
    return bytes(data)


def packed(encode: Callable[[bytes], bytes]) -> bytes:
    return bytes(encode(bytes([90]) * (256 * 256 * 3)))


RAW = bytes([90]) * (256 * 256 * 3)
ZSTD = packed(imagecodecs.zstd_encode)
BAD_TILES = {
    "JPEG that claims 65,500 x 65,500": (7, jpeg(65_500, 65_500), jpeg()),
    "JPEG cut before its size": (7, jpeg()[:20], jpeg()),
    "JPEG cut in half": (7, jpeg()[: len(jpeg()) // 2], jpeg()),
    "JPEG 2000 cut in half": (34712, j2k()[: len(j2k()) // 2], j2k()),
    "JPEG of noise": (7, b"\xff\xd8" + bytes(range(256)) * 9, jpeg()),
    "JPEG 2000 that claims 60,000 x 60,000": (34712, j2k(60_000, 60_000), j2k()),
    "JPEG 2000 of a few bytes": (34712, j2k()[:30], j2k()),
    "deflate bomb": (8, zlib.compress(bytes(2**27), 9), zlib.compress(RAW)),
    "deflate of noise": (8, bytes(range(256)) * 9, zlib.compress(RAW)),
    "Zstandard bomb": (50000, bytes(imagecodecs.zstd_encode(bytes(2**27))), ZSTD),
    "PackBits bomb": (32773, b"\x81\0" * 2**20, bytes(imagecodecs.packbits_encode(RAW))),
    "LZW of noise": (5, bytes(range(256)) * 9, bytes(imagecodecs.lzw_encode(RAW))),
    "PNG that claims 60,000 x 60,000": (
        34933,
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 60_000, 60_000) + bytes(200),
        imagecodecs.png_encode(np.full((256, 256, 3), 90, np.uint8)),
    ),
    "raw tile too short": (1, RAW[:-1], RAW),
}


@pytest.mark.parametrize(("compression", "bad", "good"), BAD_TILES.values(), ids=BAD_TILES)
@pytest.mark.timeout(10)
def test_a_bad_tile_is_marked_and_the_others_are_read(tmp_path, compression, bad, good):
    path = tmp_path / "slide.tif"
    path.write_bytes(image(compression, bad, good))
    level = open_slide(path).levels[0]
    with pytest.warns(BrokenTileWarning, match="row 0, column 256"):
        read = level.pixels[:]
    assert (read[:256, 256:] == BROKEN).all()
    assert np.abs(read[:, :256].astype(int) - 90).max() <= 1
    assert np.abs(read[256:].astype(int) - 90).max() <= 1


XML_BOMB = (
    '<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]><OME><Image>&j;</Image></OME>"
).encode()
ELSEWHERE = (
    b'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
    b'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="512" SizeY="512" '
    b'SizeC="3" SizeZ="1" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="3"/><TiffData IFD="0">'
    b'<UUID FileName="../secret.tif">urn:uuid:2</UUID></TiffData></Pixels></Image></OME>'
)


def described(text: bytes) -> bytes:
    content = image(8, zlib.compress(RAW), None, (270, 2, len(text) + 1, 2048))
    assert len(text) < DATA - 64 - 2048
    return content[:2048] + text + b"\0" + content[2049 + len(text) :]


WHOLE = {
    "directory that follows itself": lambda: (
        image(8, zlib.compress(RAW))[:130] + struct.pack("<I", 8) + image(8, zlib.compress(RAW))[134:]
    ),
    "sub-directory that is its parent": lambda: image(8, zlib.compress(RAW), None, (330, 4, 1, 8)),
    "sub-directory beyond the end": lambda: image(8, zlib.compress(RAW), None, (330, 4, 1, 2**31)),
    "a million sub-directories": lambda: image(8, zlib.compress(RAW), None, (330, 4, 1_000_000, 2048)),
    "ICC profile of 4 GB": lambda: image(8, zlib.compress(RAW), None, (34675, 7, 2**32 - 1, 2048)),
    "description beyond the end": lambda: image(8, zlib.compress(RAW), None, (270, 2, 900, 2**31)),
    "XML that unfolds without end": lambda: described(XML_BOMB),
    "OME-XML that names another file": lambda: described(ELSEWHERE),
}


@pytest.mark.parametrize("content", WHOLE.values(), ids=WHOLE)
@pytest.mark.timeout(10)
def test_what_is_whole_is_read_whatever_surrounds_it(tmp_path, content):
    folder = tmp_path / "folder"
    folder.mkdir()
    tifffile.imwrite(
        tmp_path / "secret.tif", np.zeros((512, 512, 3), np.uint8), photometric="rgb", tile=(256, 256)
    )
    (folder / "slide.tif").write_bytes(content())
    slide = open_slide(folder / "slide.tif")
    assert (slide.levels[0].pixels[:] == 90).all()
    for image_of in slide.associated.values():
        image_of()
    assert slide.profile is None


REFUSED = {
    "directory at byte 0": lambda: b"II*\0" + bytes(200),
    "directory that is the header": lambda: b"II*\0\0\0\0\0" + bytes(100),
    "directory of 65,535 tags": lambda: b"II*\0" + struct.pack("<IH", 8, 65_535) + bytes(300),
    "tile places beyond the end": lambda: tiff(*tiles(8, b"")[:8], (324, 4, 4, 2**31), (325, 4, 4, 2**31)),
    "tiles of 2,000,000 x 2,000,000": lambda: tiff(
        (256, 4, 1, 2_000_000),
        (257, 4, 1, 2_000_000),
        (258, 3, 1, 8),
        (259, 3, 1, 7),
        (262, 3, 1, 2),
        (277, 3, 1, 3),
        (322, 4, 1, 2_000_000),
        (323, 4, 1, 2_000_000),
        (324, 4, 1, DATA),
        (325, 4, 1, 9),
        data=jpeg(),
    ),
    "packing that nobody knows": lambda: image(60_000, RAW),
    "JPEG XR": lambda: image(34934, RAW),
    "palette": lambda: image(8, zlib.compress(RAW), photometric=3),
    "every tile a bomb": lambda: image(7, jpeg(65_500, 65_500)),
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
@pytest.mark.timeout(10)
def test_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "slide.tif"
    path.write_bytes(content())
    with pytest.raises(SlideError) as caught:
        open_slide(path)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.timeout(60)
def test_cut_at_every_structure(tmp_path, picture):
    """An SVS-like file cut off after every hundredth byte of its head and at every directory and tile."""
    whole = tmp_path / "whole.svs"
    pixels = picture(200, 180)
    with tifffile.TiffWriter(whole) as writer:
        for factor in (1, 2):
            options = {"tile": (64, 64), "photometric": "rgb", "compression": "zlib", "metadata": None}
            writer.write(pixels[::factor, ::factor], description="Aperio Image\n|MPP = 0.5", **options)
    with tifffile.TiffFile(whole) as opened:
        marks = [page.offset + extra for page in opened.pages for extra in (0, 1, 2, 14, 100)]
        marks += [place + extra for page in opened.pages for place in page.dataoffsets for extra in (0, 7)]
    content = whole.read_bytes()
    path = tmp_path / "cut.svs"
    for end in sorted({*marks, *range(0, 1000, 100)}):
        path.write_bytes(content[:end])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BrokenTileWarning)
            try:
                read = open_slide(path).levels[0].pixels[:]
            except SlideError as error:
                if not error.remedy:
                    raise
                continue
        true = pixels if read.shape == pixels.shape else pixels[::2, ::2]
        assert ((read == true) | (read == BROKEN)).all(), end
