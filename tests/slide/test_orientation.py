"""Orientation: what TIFF and EXIF say of it is applied to every level, and said."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from histoscribe.slide import open_slide, write_slide
from histoscribe.slide.orientation import TAG, TURNED, UprightPixels, exif_orientation, upright

CODES = range(2, 9)


def pillow_upright(pixels: np.ndarray, code: int) -> np.ndarray:
    """The same as another library does it."""
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[TAG] = code
    Image.fromarray(pixels).save(stream, "PNG", exif=exif)
    return np.asarray(ImageOps.exif_transpose(Image.open(stream)))


@pytest.mark.parametrize("code", CODES)
def test_a_picture_is_turned_as_its_exif_says(picture, tmp_path, code):
    pixels, exif = picture(50, 80), Image.Exif()
    exif[TAG] = code
    for ending in ("png", "jpg"):
        path = tmp_path / f"tissue.{ending}"
        Image.fromarray(pixels).save(path, exif=exif)
        slide = open_slide(path)
        expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
        assert slide.shape == expected.shape[:2]
        np.testing.assert_array_equal(slide.levels[0].pixels[:], expected)
        assert slide.warnings[0] == TURNED


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("tile", [(64, 64), None])
def test_a_tiff_is_turned_as_its_tag_says_and_stays_so(picture, tmp_path, code, tile):
    pixels, path = picture(300, 210), tmp_path / "slide.tif"
    tag = {"extratags": [(TAG, 3, 1, code, True)], "photometric": "rgb", "metadata": None, "tile": tile}
    with tifffile.TiffWriter(path) as tiff:
        for step in (1, 2):
            tiff.write(pixels[::step, ::step], subfiletype=int(step > 1), **tag)
    slide = open_slide(path)
    expected = [pillow_upright(pixels, code), pillow_upright(pixels[::2, ::2], code)]
    assert slide.warnings.count(TURNED) == 1
    for level, whole in zip(slide.levels, expected, strict=True):
        np.testing.assert_array_equal(level.pixels[:], whole)
        np.testing.assert_array_equal(level.pixels[7:90:3, -60:-5], whole[7:90:3, -60:-5])
    again = open_slide(write_slide(slide, tmp_path / "copy.ome.tif"))
    np.testing.assert_array_equal(again.levels[0].pixels[:], expected[0])
    assert TURNED not in again.warnings


def test_an_upright_image_is_left_alone(picture, tmp_path):
    Image.fromarray(picture(20, 30)).save(tmp_path / "tissue.png")
    assert exif_orientation(tmp_path / "tissue.png") == 1
    assert upright(picture(20, 30), 1).shape == (20, 30, 3)
    (tmp_path / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe1\0\x10Exif\0\0MM\0")
    assert exif_orientation(tmp_path / "damaged.jpg") == 1


@pytest.mark.parametrize("code", CODES)
def test_chunks_are_turned_too(picture, code):
    class Stored:
        shape, dtype, ndim, chunks = (50, 80, 3), np.dtype(np.uint8), 3, (10, 40, 3)
        whole = picture(50, 80)

        def __getitem__(self, key):
            return self.whole[key]

    turned = UprightPixels(Stored(), code)
    assert turned.chunks == ((40, 10, 3) if code > 4 else (10, 40, 3))
    np.testing.assert_array_equal(turned[3:20, 5:41], pillow_upright(Stored.whole, code)[3:20, 5:41])
