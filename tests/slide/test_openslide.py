"""Slides through OpenSlide: the same pixels as OpenSlide gives, from any thread, and again after an error."""

from __future__ import annotations

import shutil
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile

from histoscribe.errors import DependencyError, SlideError
from histoscribe.formats import format_of
from histoscribe.slide import Window, open_slide
from histoscribe.slide.colour import to_rgb
from histoscribe.slide.openslide import backend as openslide_files
from histoscribe.slide.openslide.backend import OpenSlidePixels
from histoscribe.slide.openslide.handles import Handles, check_version, library
from histoscribe.slide.tiled import BROKEN, BrokenTileWarning

openslide = pytest.importorskip("openslide")


@pytest.fixture
def pyramid(picture, write_tiff) -> Path:
    return write_tiff(picture(601, 503), levels=3, tile=(128, 128))


@pytest.fixture
def dicom(real_data: Path) -> Path:
    return real_data / "slides" / "CMU-1-Small-Region-dicom"


def test_pixels_do_not_depend_on_what_is_read(pyramid):
    slide = openslide_files.read(pyramid)
    whole = [level.pixels[:] for level in slide.levels]
    with openslide.OpenSlide(pyramid) as peer:
        assert [level.downsample for level in slide.levels] == list(peer.level_downsamples)
        expected = np.asarray(peer.read_region((0, 0), 0, peer.dimensions))[..., :3]
    np.testing.assert_array_equal(whole[0], expected)
    for pixels, level in zip(whole, slide.levels, strict=True):
        np.testing.assert_array_equal(level.pixels[37:131, 5:140], pixels[37:131, 5:140])


def test_threads_have_handles_of_their_own(pyramid):
    level = openslide_files.read(pyramid).levels[0]
    whole = tifffile.imread(pyramid, key=0)

    def right(corner: int) -> bool:
        return np.array_equal(
            level.pixels[corner : corner + 90, corner : corner + 90], whole[corner:, corner:][:90, :90]
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(right, list(range(0, 400, 7))))


class _FailsOnce:
    """A handle whose first read fails, as after a read error it would for ever."""

    def __init__(self, handle: object) -> None:
        self._handle, self.closed = handle, False

    def read_region(self, *where: object) -> object:
        raise openslide.OpenSlideError("Cannot read")

    def close(self) -> None:
        self.closed = True


def test_a_handle_that_died_is_opened_again(pyramid):
    handles = Handles(pyramid)
    pixels = OpenSlidePixels(handles, pyramid, 0, 601, 503, 1.0, (128, 128))
    handles._own.handle = dead = _FailsOnce(None)
    np.testing.assert_array_equal(pixels[:100, :100], tifffile.imread(pyramid, key=0)[:100, :100])
    assert dead.closed


def test_a_broken_tile_is_marked_and_the_others_are_read(pyramid, monkeypatch):
    level = openslide_files.read(pyramid).levels[0]
    read = openslide.OpenSlide.read_region

    def fails(self, corner, number, size):
        if corner == (128, 256):
            raise openslide.OpenSlideError("Cannot decode")
        return read(self, corner, number, size)

    monkeypatch.setattr(openslide.OpenSlide, "read_region", fails)
    with pytest.warns(BrokenTileWarning, match="row 256, column 128"):
        pixels = level.pixels[:]
    expected = tifffile.imread(pyramid, key=0)
    expected[256:384, 128:256] = BROKEN
    np.testing.assert_array_equal(pixels, expected)


def test_a_slide_that_goes_away_is_told(pyramid):
    level = openslide_files.read(pyramid).levels[0]
    level.pixels._handles._drop()
    pyramid.unlink()
    with pytest.raises(SlideError, match="cannot open"):
        level.pixels[:]


def test_transparent_is_white():
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 51]]], np.uint8)
    assert to_rgb(rgba).tolist() == [[[10, 20, 30], [255, 255, 255], [204, 204, 204]]]


@pytest.mark.parametrize("version", ["4.0.0", "3.4.1", "2"])
def test_libraries_with_a_known_fault_are_refused(version):
    with pytest.raises(DependencyError, match="crafted slide") as caught:
        check_version(version)
    assert "slides" in caught.value.remedy
    check_version("4.0.1")
    check_version("5.0")


def test_without_openslide_the_user_learns_how_to_get_it(tmp_path, monkeypatch):
    path = tmp_path / "slide.dcm"
    path.write_bytes(bytes(128) + b"DICM" + bytes(100))
    library.cache_clear()
    monkeypatch.setitem(sys.modules, "openslide", None)
    with pytest.raises(DependencyError, match="pip install") as caught:
        open_slide(path)
    assert "napari-histoscribe[slides]" in str(caught.value)
    other = tmp_path / "words.txt"
    other.write_text("not a slide at all")
    with pytest.raises(SlideError, match="not a slide"):
        open_slide(other)
    library.cache_clear()


def test_hamamatsu_is_known_by_its_tag_and_not_by_its_ending(tmp_path, picture):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(
        path,
        picture(64, 64),
        photometric="rgb",
        extratags=[(271, 2, 0, "Hamamatsu", True), (65420, 4, 1, 1, True)],
    )
    assert format_of(path).name == "a scanner's file"
    tifffile.imwrite(path, picture(64, 64), photometric="rgb")
    assert format_of(path).name == "a TIFF"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"ZISRAWFILE" + bytes(600), "slide.bin"),
        (b"[Virtual Microscope Specimen]\nNoLayers=1\n", "slide.vms"),
        (bytes(128) + b"DICM" + bytes(400), "slide"),
        (bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, 2**31), "slide.dcm"),
    ],
)
def test_what_only_looks_like_a_slide_is_one_sentence(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SlideError, match="OpenSlide cannot open it") as caught:
        open_slide(path)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_a_mirax_index_that_lies(tmp_path):
    (tmp_path / "slide").mkdir()
    (tmp_path / "slide.mrxs").write_bytes(b"\xff\xd8\xff\xe0")
    index = (
        "[GENERAL]\nSLIDE_ID=x\nIMAGENUMBER_X=2000000\nIMAGENUMBER_Y=2000000\nOBJECTIVE_MAGNIFICATION=20\n"
    )
    (tmp_path / "slide" / "Slidedat.ini").write_text(index)
    for path in (tmp_path / "slide.mrxs", tmp_path / "slide"):
        with pytest.raises(SlideError, match="OpenSlide cannot open it"):
            open_slide(path)


@pytest.mark.realdata
def test_dicom_agrees_with_openslide_pixel_by_pixel(dicom):
    slide = open_slide(dicom)
    assert (slide.shape, slide.mpp, slide.vendor, slide.warnings) == ((2967, 2220), 0.499, "DICOM", ())
    file = max(dicom.iterdir(), key=lambda file: file.stat().st_size)
    with openslide.OpenSlide(file) as peer:
        expected = np.asarray(peer.read_region((0, 0), 0, peer.dimensions))[..., :3]
        label = np.asarray(peer.associated_images["label"])[..., :3]
    np.testing.assert_array_equal(slide.levels[0].pixels[:], expected)
    np.testing.assert_array_equal(slide.associated["label"](), label)
    assert slide.profile is not None
    assert slide.profile()[36:40] == b"acsp"
    assert open_slide(file).shape == slide.shape


@pytest.mark.realdata
def test_aperio_and_dicom_are_the_same_tissue(real_data, dicom):
    aperio, same = open_slide(real_data / "slides" / "CMU-1-Small-Region.svs"), open_slide(dicom)
    assert aperio.shape == same.shape
    assert aperio.mpp == pytest.approx(same.mpp, rel=1e-6)
    first, second = (slide.levels[0].pixels[:].astype(np.int16) for slide in (aperio, same))
    assert np.abs(first - second).mean() < 4  # two JPEG compressions of quality 30
    assert np.corrcoef(first[::9].ravel(), second[::9].ravel())[0, 1] > 0.99
    region = Window(900, 700, 800, 800)
    coarse = [slide.read(region, 4.0).astype(float) for slide in (aperio, same)]
    assert np.abs(coarse[0] - coarse[1]).mean() < 1.5
    with openslide.OpenSlide(real_data / "slides" / "CMU-1-Small-Region.svs") as peer:
        exact = np.asarray(peer.read_region((0, 0), 0, peer.dimensions))[..., :3].astype(np.int16)
    assert np.abs(exact - first).max() <= 3  # two JPEG decoders
    assert {"label", "macro", "thumbnail"} == set(aperio.associated) == set(same.associated)


@pytest.mark.realdata
def test_a_dicom_series_cut_off(dicom, tmp_path):
    largest = max(dicom.iterdir(), key=lambda file: file.stat().st_size)
    shutil.copy(largest, tmp_path / "cut.dcm")
    content = (tmp_path / "cut.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(content[: len(content) // 2])
    slide = open_slide(tmp_path / "cut.dcm")
    with pytest.warns(BrokenTileWarning):
        assert (slide.levels[0].pixels[-200:, -200:] == BROKEN).all()
    (tmp_path / "cut.dcm").write_bytes(content[:2000])
    with pytest.raises(SlideError, match="end of file"):
        open_slide(tmp_path / "cut.dcm")


HUGE, WIDE = struct.pack("<I", 2_000_000), struct.pack("<H", 65_535)
CLAIMS = {
    "image of 2,000,000 x 2,000,000": ({(0x48, 6): HUGE, (0x48, 7): HUGE}, "2000000 × 2000000"),
    "tiles of 65,535 x 65,535": ({(0x28, 16): WIDE, (0x28, 17): WIDE}, "breaks down|none of its tiles"),
}


@pytest.mark.realdata
@pytest.mark.timeout(10)
@pytest.mark.parametrize(("changes", "says"), CLAIMS.values(), ids=CLAIMS)
def test_a_dicom_file_that_claims_what_it_does_not_hold(real_data, tmp_path, changes, says):
    content = (real_data / "slides" / "boxes_0.dcm").read_bytes()
    for tag, value in changes.items():
        place = content.index(struct.pack("<HH", *tag)) + 8
        content = content[:place] + value + content[place + len(value) :]
    (tmp_path / "slide.dcm").write_bytes(content)
    with pytest.raises(SlideError, match=says) as caught:
        open_slide(tmp_path / "slide.dcm")
    assert caught.value.remedy


def headed(series: str, shows: str = "ORIGINAL\\PRIMARY\\VOLUME\\NONE") -> bytes:
    """The beginning of a DICOM file with an image type and a series."""
    shown, uid = shows.encode(), series.encode()
    tags = b"\x08\x00\x08\x00CS" + len(shown).to_bytes(2, "little") + shown
    tags += b"\x20\x00\x0e\x00UI" + len(uid).to_bytes(2, "little") + uid
    return bytes(128) + b"DICM" + tags


def test_two_slides_in_a_dicom_folder_are_refused_by_name(tmp_path):
    for name, series in (("a.dcm", "1.2.3"), ("b.dcm", "1.2.3"), ("c.dcm", "1.2.4")):
        (tmp_path / name).write_bytes(headed(series))
    with pytest.raises(SlideError, match=r"2 slides lie in this folder \(a\.dcm, c\.dcm\); name a file"):
        open_slide(tmp_path)


def test_a_label_in_a_series_of_its_own_is_no_second_slide(tmp_path):
    (tmp_path / "level.dcm").write_bytes(headed("1.2.3") + bytes(100))
    (tmp_path / "label.dcm").write_bytes(headed("1.2.9", "ORIGINAL\\PRIMARY\\LABEL\\NONE"))
    assert openslide_files.file_in(tmp_path) == tmp_path / "level.dcm"
