"""Writing slides: everything comes back, nothing half-written stays, a stopped run goes on."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings, strategies as st

from histoscribe.errors import Cancelled, SettingError, SlideError
from histoscribe.progress import Progress, Step
from histoscribe.slide import Level, Slide, open_slide, write_slide
from histoscribe.slide.pixels import RgbPixels
from histoscribe.slide.write import ome_zarr as ome_zarr_writing, writing as ome_tiff_writing

ENDINGS = ("ome.tif", "ome.zarr")


class Array(RgbPixels):
    """A level in memory that counts its reads."""

    def __init__(self, pixels: np.ndarray) -> None:
        super().__init__(*pixels.shape[:2], (64, 64))
        self.array, self.reads = pixels, 0

    def block(self, top: int, left: int, bottom: int, right: int) -> np.ndarray:
        self.reads += 1
        return self.array[top:bottom, left:right]


@pytest.fixture(scope="session")
def make_slide(picture):
    """A slide in memory whose levels have the factors given."""

    def make(rows: int = 300, columns: int = 200, factors=(1.0, 2.0), **about: object) -> Slide:
        levels = []
        for number, factor in enumerate(factors):
            extent = (max(1, -(-rows // int(factor))), max(1, -(-columns // int(factor))))
            levels.append(Level(Array(picture(*extent, seed=number)), factor))
        return Slide(Path("tissue.svs"), tuple(levels), **about)

    return make


def test_words_in_a_profile_make_no_slide_of_another_scanner(make_slide, tmp_path):
    slide = make_slide(40, 30, (1.0,), profile=lambda: b"[Virtual Microscope Specimen]", vendor="Aperio")
    back = open_slide(write_slide(slide, tmp_path / "slide.ome.tif"))
    assert (back.vendor, back.profile()) == ("Aperio", b"[Virtual Microscope Specimen]")


@settings(max_examples=25)
@given(data=st.data())
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_written_comes_back(make_slide, ending, data):
    rows, columns = data.draw(st.integers(1, 700)), data.draw(st.integers(1, 600))
    coarsest = data.draw(st.integers(1, 3)) if min(rows, columns) >= 16 else 1
    profile = data.draw(st.none() | st.binary(min_size=1, max_size=300))
    slide = make_slide(
        rows,
        columns,
        [float(2**n) for n in range(coarsest)],
        mpp=data.draw(st.none() | st.floats(0.05, 20)),
        objective=data.draw(st.none() | st.sampled_from([2.5, 20.0, 40.0])),
        vendor=data.draw(st.sampled_from(["Aperio", 'Müller & "Söhne" <µ>', "3DHISTECH"])),
        profile=None if profile is None else lambda: profile,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = write_slide(slide, Path(folder) / f"slide.{ending}")
        back = open_slide(path)
        assert len(back.levels) == len(slide.levels)
        for level, expected in zip(back.levels, slide.levels, strict=True):
            np.testing.assert_array_equal(level.pixels[:], expected.pixels.array)
            assert level.downsample == pytest.approx(expected.downsample, rel=1e-6)
        assert back.mpp == (None if slide.mpp is None else pytest.approx(slide.mpp, rel=1e-9))
        assert (back.vendor, back.objective) == (slide.vendor, slide.objective)
        assert (back.profile and back.profile()) == profile
        assert [entry.name for entry in Path(folder).iterdir()] == [f"slide.{ending}"]


def test_large_levels_are_read_in_parts_and_written_in_shards(make_slide, tmp_path, monkeypatch):
    monkeypatch.setattr(ome_zarr_writing, "_CHUNK", 64)
    monkeypatch.setattr(ome_zarr_writing, "_SHARD", 128)
    monkeypatch.setattr(ome_tiff_writing, "_TILE", 64)
    monkeypatch.setattr(ome_tiff_writing, "_STRIDE", 128)
    slide = make_slide(rows=301, columns=333, mpp=0.5)
    for ending in ENDINGS:
        back = open_slide(write_slide(slide, tmp_path / f"slide.{ending}"))
        np.testing.assert_array_equal(back.levels[0].pixels[:], slide.levels[0].pixels.array)
    assert slide.levels[0].pixels.reads > 20


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_stopped_run_leaves_what_was_there(make_slide, tmp_path, monkeypatch, ending):
    monkeypatch.setattr(ome_zarr_writing, "_CHUNK", 64)
    monkeypatch.setattr(ome_zarr_writing, "_SHARD", 64)
    monkeypatch.setattr(ome_tiff_writing, "_TILE", 64)
    monkeypatch.setattr(ome_tiff_writing, "_STRIDE", 64)
    path = tmp_path / f"slide.{ending}"
    before = make_slide(mpp=1.0, factors=(1.0,))
    write_slide(before, path)
    slide = make_slide(mpp=0.5)
    seen = []

    def listen(step: Step) -> None:
        seen.append(step)
        if step.done == 6:
            progress.cancel()

    progress = Progress(listen)
    with pytest.raises(Cancelled):
        write_slide(slide, path, progress=progress)
    assert open_slide(path).mpp == 1.0
    first = slide.levels[0].pixels.reads
    write_slide(slide, path, progress=Progress(seen.append))
    assert open_slide(path).mpp == 0.5
    np.testing.assert_array_equal(open_slide(path).levels[0].pixels[:], slide.levels[0].pixels.array)
    if ending == "ome.zarr":
        assert slide.levels[0].pixels.reads - first == 20 - 7  # nothing is read twice
    assert seen[-1].done == seen[-1].total > 20
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_work_on_another_slide_is_not_taken_up(make_slide, tmp_path, monkeypatch):
    monkeypatch.setattr(ome_zarr_writing, "_CHUNK", 64)
    monkeypatch.setattr(ome_zarr_writing, "_SHARD", 64)
    path = tmp_path / "slide.zarr"
    progress = Progress(lambda step: progress.cancel() if step.done == 4 else None)
    with pytest.raises(Cancelled, match="goes on from there"):
        write_slide(make_slide(300, 200), path, progress=progress)
    slide = make_slide(260, 200)
    write_slide(slide, path)
    np.testing.assert_array_equal(open_slide(path).levels[0].pixels[:], slide.levels[0].pixels.array)


def test_with_loss_only_when_asked(make_slide, tmp_path):
    slide = make_slide(mpp=0.5)
    back = open_slide(write_slide(slide, tmp_path / "slide.ome.tif", quality=90))
    pixels = back.levels[0].pixels[:].astype(int)
    assert 0 < np.abs(pixels - slide.levels[0].pixels.array).mean() < 25


def test_a_reduced_image_becomes_full_resolution(make_slide, tmp_path):
    slide = make_slide(factors=(4.0, 8.0), rows=800, columns=600, mpp=0.5)
    for ending in ENDINGS:
        back = open_slide(write_slide(slide, tmp_path / f"slide.{ending}"))
        assert (back.mpp, [level.downsample for level in back.levels]) == (2.0, [1.0, 2.0])


@pytest.mark.parametrize(
    ("name", "quality", "says"),
    [("a.png", None, "OME-TIFF or OME-Zarr"), ("a.zarr", 80, "without loss"), ("a.tif", 0, "quality of 0")],
)
def test_what_cannot_be_written(make_slide, tmp_path, name, quality, says):
    with pytest.raises(SettingError, match=says):
        write_slide(make_slide(), tmp_path / name, quality=quality)


def test_a_slide_that_breaks_while_it_is_copied(make_slide, tmp_path, monkeypatch):
    slide = make_slide()

    def gone(*where: int) -> np.ndarray:
        raise SlideError("can no longer be read")

    monkeypatch.setattr(slide.levels[1].pixels, "block", gone)
    for ending in ENDINGS:
        with pytest.raises(SlideError, match="no longer"):
            write_slide(slide, tmp_path / f"slide.{ending}")
        assert not (tmp_path / f"slide.{ending}").exists()


def test_other_readers_see_the_same(make_slide, tmp_path):
    slide = make_slide(mpp=0.25, objective=40.0)
    pixels = slide.levels[0].pixels.array
    tiff, store = (write_slide(slide, tmp_path / f"slide.{ending}") for ending in ENDINGS)
    with tifffile.TiffFile(tiff) as opened:
        assert opened.is_ome
        assert [level.shape for level in opened.series[0].levels] == [(300, 200, 3), (150, 100, 3)]
        np.testing.assert_array_equal(opened.series[0].asarray(), pixels)
    openslide = pytest.importorskip("openslide")
    with openslide.OpenSlide(tiff) as opened:
        np.testing.assert_array_equal(np.asarray(opened.read_region((0, 0), 0, (200, 300)))[..., :3], pixels)
    ome_zarr = pytest.importorskip("ome_zarr.reader")
    from ome_zarr.io import parse_url

    node = next(iter(ome_zarr.Reader(parse_url(store))()))
    np.testing.assert_array_equal(np.asarray(node.data[0]).transpose(1, 2, 0), pixels)
    assert node.metadata["coordinateTransformations"][1][0]["scale"] == [1.0, 0.5, 0.5]


@pytest.mark.realdata
def test_an_aperio_slide_there_and_back(real_data, tmp_path):
    slide = open_slide(real_data / "slides" / "CMU-1-Small-Region.svs")
    for ending in ENDINGS:
        back = open_slide(write_slide(slide, tmp_path / f"slide.{ending}"))
        assert (back.mpp, back.vendor, back.objective) == (0.499, "Aperio", 20)
        assert not back.associated  # a label may name the patient
        for level, expected in zip(back.levels, slide.levels, strict=True):
            np.testing.assert_array_equal(level.pixels[:], expected.pixels[:])
        shutil.rmtree(tmp_path / f"slide.{ending}", ignore_errors=True)
