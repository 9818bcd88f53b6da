"""Plain images of section size."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from histoscribe.errors import SlideError
from histoscribe.slide import open_slide
from histoscribe.slide.colour import GREY, TRANSPARENT


@pytest.mark.parametrize("ending", [".png", ".tif", ""])
def test_png_by_content(picture, tmp_path, ending):
    pixels, path = picture(120, 90), tmp_path / f"tissue_hires_image{ending}"
    path.write_bytes(imagecodecs.png_encode(pixels))
    slide = open_slide(path)
    np.testing.assert_array_equal(slide.levels[0].pixels[:], pixels)
    assert slide.mpp is None
    assert slide.warnings == ("the µm per pixel are unknown",)
    assert slide.with_mpp(0.5).warnings == ()


@pytest.mark.parametrize("options", [{}, {"subsampling": "420"}, {"optimize": True}])
def test_jpeg(picture, tmp_path, options):
    pixels, path = picture(700, 1300) // 2 + 60, tmp_path / "section.jpg"
    path.write_bytes(imagecodecs.jpeg8_encode(pixels, level=95, **options))
    slide = open_slide(path, mpp=0.7)
    np.testing.assert_array_equal(slide.levels[0].pixels[:], imagecodecs.jpeg8_decode(path.read_bytes()))
    assert [level.shape for level in slide.levels] == [(700, 1300), (350, 650)]


def test_grey_and_sixteen_bits(picture, tmp_path):
    pixels, path = picture(40, 50), tmp_path / "picture.png"
    path.write_bytes(imagecodecs.png_encode(pixels[:, :, 0].copy()))
    slide = open_slide(path)
    np.testing.assert_array_equal(slide.levels[0].pixels[:], np.repeat(pixels[:, :, :1], 3, axis=2))
    assert slide.warnings[0] == GREY
    path.write_bytes(imagecodecs.png_encode(pixels.astype(np.uint16) * 257))
    np.testing.assert_array_equal(open_slide(path).levels[0].pixels[:], pixels)


@pytest.mark.parametrize("samples", [1, 3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_a_camera_of_few_bits_is_not_shown_nearly_black(picture, tmp_path, bits, samples):
    colours = np.dstack([picture(40, 50), np.full((40, 50), 255, np.uint8)])[:, :, :samples].astype(np.uint16)
    colours[:, :, :3] = colours[:, :, :3] << (bits - 8)
    colours[:, :, 3:] = 65535
    path = tmp_path / "picture.png"
    path.write_bytes(imagecodecs.png_encode(colours.squeeze()))
    with pytest.raises(SlideError, match="nearly black") as raised:
        open_slide(path).levels[0].pixels[:]
    assert "8 bits" in raised.value.remedy


@pytest.mark.parametrize("bits", [8, 16])
def test_transparent_glass_is_laid_on_white_and_said_once(picture, tmp_path, bits):
    pixels, path = picture(40, 50), tmp_path / "picture.png"
    pixels[:20] = 0
    alpha = np.full((40, 50, 1), 255, np.uint8)
    alpha[:20] = 0
    stored = np.concatenate((pixels, alpha), axis=2)
    path.write_bytes(imagecodecs.png_encode(stored if bits == 8 else stored.astype(np.uint16) * 257))
    slide = open_slide(path)
    read = slide.levels[0].pixels[:]
    assert (read[:20] == 255).all()
    np.testing.assert_array_equal(read[20:], pixels[20:])
    assert slide.warnings.count(TRANSPARENT) == 1


@pytest.mark.parametrize("kind", ["png", "jpeg8"])
def test_damaged_image_is_told_when_it_is_decoded(picture, tmp_path, kind):
    path = tmp_path / "section.img"
    content = bytearray(getattr(imagecodecs, f"{kind}_encode")(picture(300, 300)))
    content[len(content) // 3 :] = b""
    path.write_bytes(content if kind == "png" else content[:200] + b"\xff\xc4\x00\x05" + content[200:])
    slide = open_slide(path)
    with pytest.raises(SlideError, match="cannot be decoded"):
        slide.levels[0].pixels[:10]


def test_a_jpeg_that_is_cut_off_is_not_shown_with_a_grey_end(picture, tmp_path):
    path = tmp_path / "section.jpg"
    content = imagecodecs.jpeg8_encode(picture(300, 300))
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(SlideError, match="cut off"):
        open_slide(path).levels[0].pixels[:10]


def test_jpeg_for_print_is_refused(picture, tmp_path):
    path = tmp_path / "print.jpg"
    ink = np.concatenate((picture(64, 64), picture(64, 64)[:, :, :1]), axis=2)
    path.write_bytes(imagecodecs.jpeg8_encode(ink, colorspace="CMYK", outcolorspace="CMYK"))
    with pytest.raises(SlideError, match="CMYK"):
        open_slide(path).levels[0].pixels[:]


def test_image_that_vanishes_after_opening(picture, tmp_path):
    path = tmp_path / "section.png"
    path.write_bytes(imagecodecs.png_encode(picture(30, 30)))
    slide = open_slide(path)
    path.unlink()
    with pytest.raises(SlideError, match="cannot be decoded"):
        slide.levels[0].pixels[:]
