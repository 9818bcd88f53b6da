"""TIFF-based slides: what is read is what is in the file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile

from histoscribe.errors import SettingError, SlideError
from histoscribe.slide import Window, open_slide
from histoscribe.slide.colour import GREY, TRANSPARENT


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib", "predictor": True},
        {"compression": "lzw"},
        {"bigtiff": True},
        {"tile": None, "rowsperstrip": 16},
        {"tile": None, "rowsperstrip": 300},
        {"planarconfig": "separate"},
        {"byteorder": ">"},
    ],
)
def test_level_holds_the_pixels_of_the_file(picture, tmp_path, options):
    pixels, path = picture(300, 210), tmp_path / "slide.tif"
    options = {"tile": (64, 64), "photometric": "rgb", "metadata": None, **options}
    with tifffile.TiffWriter(
        path, bigtiff=options.pop("bigtiff", False), byteorder=options.pop("byteorder", None)
    ) as tiff:
        stored = pixels.transpose(2, 0, 1) if options.get("planarconfig") == "separate" else pixels
        tiff.write(stored, **options)
    level = open_slide(path).levels[0]
    np.testing.assert_array_equal(level.pixels[:], pixels)
    np.testing.assert_array_equal(level.pixels[17:250:3, -5, ::-1], pixels[17:250:3, -5, ::-1])
    assert level.pixels[5, 6].tolist() == pixels[5, 6].tolist()
    assert level.pixels[10:10].shape == (0, 210, 3)
    with pytest.raises(IndexError):
        level.pixels[300]


def test_content_decides_and_not_the_ending(picture, write_tiff):
    pixels = picture(80, 90)
    path = write_tiff(pixels, name="picture.jpg")
    np.testing.assert_array_equal(open_slide(path).levels[0].pixels[:], pixels)


def test_grey_becomes_rgb_and_is_said(picture, tmp_path):
    pixels = picture(70, 90)
    tifffile.imwrite(tmp_path / "grey.tif", pixels[:, :, 0], tile=(32, 32))
    slide = open_slide(tmp_path / "grey.tif")
    np.testing.assert_array_equal(slide.levels[0].pixels[:], np.repeat(pixels[:, :, :1], 3, axis=2))
    assert slide.warnings[0] == GREY


@pytest.mark.parametrize("tile", [(32, 32), None])
@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
@pytest.mark.parametrize("samples", [1, 3])
def test_transparent_glass_is_laid_on_white_and_said_once(picture, tmp_path, kind, samples, tile):
    pixels = picture(70, 90)[:, :, :samples]
    alpha = np.full((70, 90, 1), 255, np.uint8)
    alpha[:35], alpha[35:40] = 0, 51
    stored = (pixels * (alpha / 255)).round().astype(np.uint8) if kind == "assocalpha" else pixels
    path = tmp_path / "alpha.tif"
    with tifffile.TiffWriter(path) as tiff:
        for step in (1, 2):
            part = np.concatenate((stored, alpha), axis=2)[::step, ::step]
            photometric = "rgb" if samples == 3 else "minisblack"
            tiff.write(part, photometric=photometric, extrasamples=[kind], tile=tile, planarconfig="contig")
    slide = open_slide(path)
    expected = np.broadcast_to(pixels * (alpha / 255) + 255 * (1 - alpha / 255), (70, 90, samples))
    read = slide.levels[0].pixels[:]
    assert (read[:35] == 255).all()
    np.testing.assert_allclose(read, np.broadcast_to(expected, (70, 90, 3)), atol=1)
    np.testing.assert_array_equal(read[40:], np.broadcast_to(pixels[40:], (30, 90, 3)))
    assert slide.warnings.count(TRANSPARENT) == 1


def test_a_fourth_sample_of_no_meaning_is_left_out_and_said(picture, tmp_path):
    pixels = np.concatenate((picture(70, 90), np.zeros((70, 90, 1), np.uint8)), axis=2)
    tifffile.imwrite(tmp_path / "more.tif", pixels, photometric="rgb", extrasamples=["unspecified"])
    slide = open_slide(tmp_path / "more.tif")
    np.testing.assert_array_equal(slide.levels[0].pixels[:], pixels[:, :, :3])
    assert "fourth sample" in slide.warnings[0]


@pytest.mark.parametrize(
    "channel",
    [
        {"Name": ["DAPI", "FITC", "Cy5"]},
        {"EmissionWavelength": [460, 520, 670]},
        {"Name": ["Blue", "Green", "Red"]},
        {"Color": [65535, 16711935, -16776961]},
    ],
)
def test_channels_that_are_no_red_green_and_blue_are_refused(picture, tmp_path, channel):
    path = tmp_path / "dyes.ome.tif"
    planes = picture(70, 90).transpose(2, 0, 1)
    tifffile.imwrite(path, planes, photometric="minisblack", metadata={"axes": "CYX", "Channel": channel})
    with pytest.raises(SlideError, match="not red, green and blue"):
        open_slide(path)


def test_levels_of_the_file_keep_their_true_factors(picture, write_tiff):
    slide = open_slide(write_tiff(picture(1501, 1303), levels=3))
    assert [level.shape for level in slide.levels] == [(1501, 1303), (751, 652), (376, 326)]
    for level in slide.levels:
        expected = (1501 / level.shape[0] + 1303 / level.shape[1]) / 2
        assert level.downsample == pytest.approx(expected, abs=1e-12)
    assert slide.levels[1].downsample != 2


def test_ome_tiff_states_its_own_scale(picture, tmp_path):
    path = tmp_path / "slide.ome.tif"
    metadata = {"axes": "YXS", "PhysicalSizeX": 500, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 500}
    metadata["PhysicalSizeYUnit"] = "nm"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        pixels = picture(600, 500)
        tiff.write(pixels, subifds=1, tile=(64, 64), photometric="rgb", metadata=metadata)
        tiff.write(pixels[::2, ::2], subfiletype=1, tile=(64, 64), photometric="rgb")
    slide = open_slide(path)
    assert slide.mpp == pytest.approx(0.5)
    assert slide.vendor == "OME"
    assert [level.downsample for level in slide.levels] == [1, 2]


@pytest.mark.parametrize("channels", [3, 4])
def test_channels_may_be_colours(picture, tmp_path, channels):
    path, pixels = tmp_path / "slide.ome.tif", picture(200, 150)
    planes = np.concatenate((pixels, pixels[:, :, :1]), axis=2).transpose(2, 0, 1)[:channels]
    tifffile.imwrite(
        path, planes, photometric="minisblack", tile=(64, 64), metadata={"axes": "CYX"}, ome=True
    )
    if channels == 4:
        with pytest.raises(SlideError, match="4 channels"):
            open_slide(path)
    else:
        slide = open_slide(path)
        assert "taken for red, green and blue" in " ".join(slide.warnings)
        np.testing.assert_array_equal(slide.levels[0].pixels[:], pixels)


@pytest.mark.parametrize(
    ("text", "mpp", "objective", "warning"),
    [
        ("|AppMag = 20|MPP = 0.4990", 0.499, 20, None),
        ("|AppMag = 40|MPP = 0.4990", 0.499, 40, "do not fit an objective"),
        ("|AppMag = 20|MPP = 0", None, 20, "unknown"),
        ("|AppMag = 20|MPP = 490", None, 20, "cannot be true"),
        ("|Something = else", None, None, "unknown"),
    ],
)
def test_aperio_description(picture, write_tiff, text, mpp, objective, warning):
    path = write_tiff(picture(64, 64), description=f"Aperio Image Library v11.2.1\r\n64x64{text}")
    slide = open_slide(path)
    assert (slide.mpp, slide.objective, slide.vendor) == (mpp, objective, "Aperio")
    assert any(warning in text for text in slide.warnings) if warning else not slide.warnings


@pytest.mark.parametrize(
    ("resolution", "unit", "mpp"),
    [
        ((20_000, 20_000), "CENTIMETER", 0.5),
        ((50_800, 50_800), "INCH", 0.5),
        ((20_000, 10_000), "CENTIMETER", 2**-0.5),
        ((72, 72), "INCH", None),
        ((1, 1), "NONE", None),
    ],
)
def test_resolution_tags_are_believed_where_plausible(picture, write_tiff, resolution, unit, mpp):
    slide = open_slide(write_tiff(picture(64, 64), resolution=resolution, resolutionunit=unit))
    assert slide.mpp == (pytest.approx(mpp, rel=1e-6) if mpp else None)
    assert ("not square" in " ".join(slide.warnings)) == (resolution[0] != resolution[1])


def test_stated_scale_wins_and_a_contradiction_is_told(picture, write_tiff):
    path = write_tiff(picture(64, 64), resolution=(20_000, 20_000), resolutionunit="CENTIMETER")
    slide = open_slide(path, mpp=0.25)
    assert slide.mpp == 0.25
    assert "the file says 0.5" in " ".join(slide.warnings)
    assert not open_slide(path, mpp=0.51).warnings
    for impossible in (0, -1, np.nan, np.inf):
        with pytest.raises(SettingError, match="not possible"):
            open_slide(path, mpp=impossible)


def test_reading_without_a_scale_says_how_to_state_it(picture, write_tiff):
    slide = open_slide(write_tiff(picture(64, 64)))
    with pytest.raises(SlideError, match="unknown; state them with --mpp"):
        slide.read(Window(0, 0, 10, 10), 1.0)


@pytest.mark.parametrize(
    ("pixels", "options", "reason"),
    [
        (np.zeros((64, 64, 3), np.uint16), {"photometric": "rgb"}, "8-bit"),
        (np.zeros((64, 64), np.float32), {}, "8-bit"),
        (np.zeros((5, 64, 64), np.uint8), {"photometric": "minisblack"}, "not an RGB image"),
        (
            np.zeros((64, 64), np.uint8),
            {"photometric": "palette", "colormap": np.zeros((3, 256), "u2")},
            "8-bit",
        ),
    ],
)
def test_other_kinds_of_pixels_are_refused(tmp_path, pixels, options, reason):
    tifffile.imwrite(tmp_path / "odd.tif", pixels, **options)
    with pytest.raises(SlideError, match=reason):
        open_slide(tmp_path / "odd.tif")


def test_threads_read_what_one_thread_reads(picture, write_tiff):
    pixels = picture(700, 700)
    level = open_slide(write_tiff(pixels, compression="zlib")).levels[0]
    corners = [(row, column) for row in range(0, 600, 50) for column in range(0, 600, 50)]

    def right(corner: tuple[int, int]) -> bool:
        row, column = corner
        here = np.s_[row : row + 90, column : column + 90]
        return np.array_equal(level.pixels[here], pixels[here])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(right, corners))


@pytest.mark.realdata
def test_aperio_slide_agrees_with_tifffile_pixel_by_pixel(real_data: Path):
    path = real_data / "slides" / "CMU-1-Small-Region.svs"
    slide = open_slide(path)
    whole = tifffile.imread(path, series=0, level=0)
    assert slide.shape == whole.shape[:2] == (2967, 2220)
    np.testing.assert_array_equal(slide.levels[0].pixels[:], whole)
    assert (slide.mpp, slide.objective, slide.vendor, slide.warnings) == (0.499, 20, "Aperio", ())
    np.testing.assert_array_equal(slide.read(Window(100, 200, 333, 444), 0.499), whole[100:433, 200:644])
    assert max(slide.levels[-1].shape) <= 1024


@pytest.mark.realdata
def test_openslide_test_files(real_data: Path):
    folder = real_data / "slides"
    boxes = open_slide(folder / "boxes.tiff")
    assert [level.shape for level in boxes.levels] == [(250, 300), (125, 150), (62, 75), (31, 37)]
    for number, level in enumerate(boxes.levels):
        expected = tifffile.imread(folder / "boxes.tiff", series=0, level=number)
        np.testing.assert_array_equal(level.pixels[:], expected)
    assert open_slide(folder / "small.svs").shape == (16, 16)
    for name in ("unopenable.tiff", "unreadable.svs"):
        with pytest.raises(SlideError) as caught:
            open_slide(folder / name)
        assert caught.value.remedy


def test_other_images_as_large_as_the_one_shown_are_said(picture, tmp_path):
    pixels = picture(300, 210)
    with tifffile.TiffWriter(tmp_path / "pages.tif") as tiff:
        for shown in (pixels, 255 - pixels, pixels[:100, :100]):
            tiff.write(shown, tile=(64, 64), photometric="rgb")
    slide = open_slide(tmp_path / "pages.tif")
    np.testing.assert_array_equal(slide.levels[0].pixels[:], pixels)
    assert "1 more of its images are about as large, and are not shown" in slide.warnings
