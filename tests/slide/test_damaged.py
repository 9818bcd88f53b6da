"""Damaged and hostile files: one clear sentence, or a warning and all that can still be read."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings, strategies as st

from histoscribe.errors import SlideError
from histoscribe.slide import Window, open_slide
from histoscribe.slide.tiled import BROKEN, BrokenTileWarning


def _tiny_tiff(rows: int, columns: int, tiled: bool) -> bytes:
    """A TIFF of some 140 bytes that claims `rows` by `columns` RGB pixels."""
    place = [(322, 4, 256), (323, 4, 256), (324, 4, 8), (325, 4, 8)]
    if not tiled:
        place = [(273, 4, 8), (278, 4, rows), (279, 4, 8)]
    tags = [(256, 4, columns), (257, 4, rows), (258, 3, 8), (259, 3, 1), (262, 3, 2), (277, 3, 3), *place]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0)


@pytest.mark.parametrize("tiled", [True, False])
def test_a_tiny_file_cannot_claim_a_huge_image(tmp_path, tiled):
    path = tmp_path / "huge.tif"
    path.write_bytes(_tiny_tiff(2_000_000, 2_000_000, tiled))
    assert path.stat().st_size < 150
    with pytest.raises(SlideError) as caught:
        open_slide(path)
    assert caught.value.remedy
    assert "2000000" in str(caught.value)


def test_huge_tiles_are_refused(tmp_path):
    content = _tiny_tiff(20_000, 20_000, tiled=True)
    huge = content.replace(struct.pack("<HHII", 322, 4, 1, 256), struct.pack("<HHII", 322, 4, 1, 20_000))
    huge = huge.replace(struct.pack("<HHII", 323, 4, 1, 256), struct.pack("<HHII", 323, 4, 1, 20_000))
    path = tmp_path / "tiles.tif"
    path.write_bytes(huge)
    with pytest.raises(SlideError, match="tiles of 20000 × 20000"):
        open_slide(path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b"II*\0", "damaged"),
        (b"II*\0\xff\xff\xff\x7f", "no image inside"),
        (b"II*\0" + struct.pack("<IH", 8, 60000), "damaged|no image"),
        (b"\x89PNG\r\n\x1a\n", "ends before"),
        (b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 0, 5), "0 pixels"),
        (b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 70_000, 70_000), "too many"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "ends before"),
        (b"not a slide at all", "not a slide"),
        (b"PK\x03\x04zip", "not a slide"),
    ],
)
def test_one_clear_sentence(tmp_path, content, problem):
    path = tmp_path / "slide.svs"
    path.write_bytes(content)
    with pytest.raises(SlideError, match=problem) as caught:
        open_slide(path)
    assert caught.value.where == str(path)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(SlideError, match="no such file"):
        open_slide(tmp_path / "none.svs")
    with pytest.raises(SlideError, match="folder"):
        open_slide(tmp_path)


def test_broken_tile_is_painted_and_told_and_reading_goes_on(picture, write_tiff):
    pixels = picture(300, 300)
    path = write_tiff(pixels, compression="zlib")
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0]
        offset, length = page.dataoffsets[7], page.databytecounts[7]
    content = bytearray(path.read_bytes())
    content[offset : offset + length] = b"\x00" * length
    path.write_bytes(content)
    slide = open_slide(path, mpp=1.0)
    with pytest.warns(BrokenTileWarning, match="row 64, column 128"):
        read = slide.levels[0].pixels[:]
    expected = pixels.copy()
    expected[64:128, 128:192] = BROKEN
    np.testing.assert_array_equal(read, expected)
    np.testing.assert_array_equal(slide.read(Window(70, 100, 60, 60), 1.0), expected[70:130, 100:160])


def test_a_disk_that_goes_away_is_told_and_blames_no_tile(picture, write_tiff, monkeypatch):
    pixels = picture(300, 300)
    level = open_slide(write_tiff(pixels)).levels[0]

    class _Gone:
        def read(self, offset, count):
            raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(level.pixels, "_content", _Gone())
        with pytest.raises(SlideError, match="Input/output error"):
            level.pixels[:]
    np.testing.assert_array_equal(level.pixels[:], pixels)


def test_tiles_beyond_the_end_are_known_at_once(picture, write_tiff):
    pixels = picture(300, 300)
    path = write_tiff(pixels)
    with tifffile.TiffFile(path) as tif:
        last = tif.pages[0].dataoffsets[-1]
    path.write_bytes(path.read_bytes()[: last - 100])
    slide = open_slide(path)
    assert "2 of 25 tiles of level 0 lie beyond the end of the file" in slide.warnings
    read = slide.levels[0].pixels[:]
    np.testing.assert_array_equal(read[:256], pixels[:256])
    assert (read[256:, 192:] == BROKEN).all()


def test_pyramid_cut_in_half_opens_with_a_warning(picture, write_tiff):
    pixels = picture(600, 600)
    path = write_tiff(pixels, levels=4)
    assert len(open_slide(path).levels) == 4
    with tifffile.TiffFile(path) as tif:
        second = tif.pages[1].offset
    path.write_bytes(path.read_bytes()[:second])
    slide = open_slide(path)
    assert len(slide.levels) == 1
    assert "cut off" in slide.warnings[0]
    np.testing.assert_array_equal(slide.levels[0].pixels[:], pixels)


def test_file_cut_before_its_directory(picture, write_tiff):
    path = write_tiff(picture(300, 300), levels=2)
    content = bytearray(path.read_bytes())
    content[4:8] = struct.pack("<I", len(content) + 4)
    path.write_bytes(content)
    with pytest.raises(SlideError, match="no image inside; the file is cut off"):
        open_slide(path)


def test_level_that_does_not_fit_is_left_out(picture, tmp_path):
    path = tmp_path / "odd.tif"
    with tifffile.TiffWriter(path) as tiff:
        options = {"photometric": "rgb", "tile": (64, 64), "metadata": None}
        tiff.write(picture(600, 600), **options)
        tiff.write(picture(300, 120), subfiletype=1, **options)
    slide = open_slide(path)
    assert [level.shape for level in slide.levels] == [(600, 600)]
    assert slide.levels[0].pixels[:].shape == (600, 600, 3)


def test_a_read_is_bounded(picture, write_tiff):
    slide = open_slide(write_tiff(picture(64, 64)), mpp=0.5)
    with pytest.raises(SlideError, match="smaller region"):
        slide.read(Window(0, 0, 1e9, 1e9), 0.5)
    with pytest.raises(SlideError, match="smaller region"):
        slide.read(Window(0, 0, 64, 64), 1e-6)
    for nonsense in (np.nan, np.inf):
        with pytest.raises(SlideError, match="cannot be read"):
            slide.read(Window(0, nonsense, 64, 64), 0.5)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.filterwarnings("ignore::histoscribe.slide.tiled.BrokenTileWarning")
def test_random_damage_never_ends_in_a_foreign_error(tmp_path: Path, picture, data):
    path = tmp_path / "fuzzed.tif"
    with tifffile.TiffWriter(path) as tiff:
        for number in range(2):
            pixels = picture(100 >> number, 90 >> number)
            options = {"tile": (32, 32), "photometric": "rgb", "compression": "zlib", "metadata": None}
            tiff.write(pixels, subfiletype=int(number > 0), **options)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        directories = [(page.offset, page.offset + 200) for page in tif.pages]
    for start, stop in [*directories, (0, 8)]:
        for _ in range(data.draw(st.integers(0, 2))):
            place = data.draw(st.integers(start, min(stop, len(content)) - 1))
            content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    with contextlib.suppress(SlideError):
        for level in open_slide(path).levels:
            assert level.pixels[:40, :40].dtype == np.uint8
