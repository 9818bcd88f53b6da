"""Crops: the right pixels, whatever the order, the chunks and the neighbours."""

from __future__ import annotations

import csv
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from histoscribe.errors import Cancelled, SettingError, SlideError
from histoscribe.progress import Progress, Step
from histoscribe.slide import Level, Slide, Window, open_slide
from histoscribe.tiles import Tiles, read_crops

_CENTRES = st.lists(st.tuples(st.floats(-200, 1800), st.floats(-200, 2200)), min_size=1, max_size=12)


def _all(slide: Slide, tiles: Tiles, **options: object):
    return np.concatenate(list(read_crops(slide, tiles, **options)))


@settings(max_examples=30)
@given(centres=_CENTRES, mpp=st.sampled_from([0.25, 0.5, 0.7, 1.0, 1.9]), side=st.integers(1, 90))
def test_a_crop_is_the_read_of_its_region(slide, tiles_at, centres, mpp, side):
    crops = _all(slide, tiles_at(centres), crop_um=side * mpp, mpp=mpp)
    assert crops.shape == (len(centres), side, side, 3)
    scale = 0.5 / mpp
    for crop, centre in zip(crops, centres, strict=True):
        corner = np.round(np.array(centre) * scale - side / 2) / scale
        expected = slide.read(Window(*corner, side / scale, side / scale), mpp)
        np.testing.assert_array_equal(crop, expected)
        middle = corner + side / scale / 2
        assert np.abs(middle - centre).max() <= 0.5 / scale + 1e-9


@settings(max_examples=20)
@given(centres=_CENTRES, chunk=st.integers(1, 13), seed=st.integers(0, 99))
def test_neither_chunks_nor_order_nor_neighbours_matter(slide, tiles_at, centres, chunk, seed):
    options = {"crop_um": 60, "mpp": 0.8}
    whole = _all(slide, tiles_at(centres), **options)
    chunks = list(read_crops(slide, tiles_at(centres), chunk=chunk, **options))
    assert all(len(part) == chunk for part in chunks[:-1])
    np.testing.assert_array_equal(np.concatenate(chunks), whole)
    order = np.random.default_rng(seed).permutation(len(centres))
    shuffled = tiles_at(np.array(centres)[order])
    np.testing.assert_array_equal(_all(slide, shuffled, **options), whole[order])
    np.testing.assert_array_equal(_all(slide, tiles_at(centres[:1]), **options), whole[:1])


def test_threads_get_what_one_thread_gets(slide, tiles_at):
    random = np.random.default_rng(0)
    parts = [tiles_at(random.uniform(0, 1600, (20, 2))) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(lambda part: _all(slide, part, crop_um=100, mpp=0.9), parts))
    fresh = replace(
        slide, levels=tuple(Level(level.pixels.copy(), level.downsample) for level in slide.levels)
    )
    for part, crops in zip(parts, threaded, strict=True):
        np.testing.assert_array_equal(_all(fresh, part, crop_um=100, mpp=0.9), crops)


def test_the_same_pixels_at_another_scale_are_other_crops(slide, tiles_at):
    """What is kept of a slide is not taken for the same pixels standing for a larger image."""
    level = slide.levels[0]
    reduced = Slide(Path("hires.png"), (Level(level.pixels, 4.0),), mpp=0.125)
    tiles, large = tiles_at([(800, 900)]), tiles_at([(3200, 3600)])
    options = {"crop_um": 50, "mpp": 1.0}
    np.testing.assert_array_equal(
        _all(reduced, large, **options),
        _all(Slide(Path("a"), (level,), mpp=0.5), tiles, **options),
    )


def test_no_tiles_no_chunks(slide, tiles_at):
    assert list(read_crops(slide, tiles_at([]), crop_um=50, mpp=1)) == []


def test_progress_is_told_and_can_cancel(slide, tiles_at):
    steps: list[Step] = []
    progress = Progress(steps.append)
    list(read_crops(slide, tiles_at([(9, 9)] * 5), crop_um=20, mpp=1, chunk=2, progress=progress))
    assert [(step.done, step.total) for step in steps] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    progress.cancel()
    with pytest.raises(Cancelled):
        next(read_crops(slide, tiles_at([(9, 9)]), crop_um=20, mpp=1, progress=progress))


@pytest.mark.parametrize(("crop_um", "mpp"), [(0, 1), (0.2, 1), (-5, 1), (10, 0), (10, -1)])
def test_crops_without_pixels_are_refused(slide, tiles_at, crop_um, mpp):
    with pytest.raises(SettingError, match="no pixels"):
        next(read_crops(slide, tiles_at([(9, 9)]), crop_um=crop_um, mpp=mpp))


def test_unreasonable_crops_are_refused(slide, tiles_at):
    with pytest.raises(SlideError, match="fit in memory"):
        next(read_crops(slide, tiles_at([(9, 9)]), crop_um=1e5, mpp=0.5))
    with pytest.raises(SlideError, match="unknown"):
        next(read_crops(replace(slide, mpp=None), tiles_at([(9, 9)]), crop_um=10, mpp=0.5))


@pytest.mark.realdata
def test_a_real_section_is_read_fast(real_data):
    slide = open_slide(real_data / "her2st" / "B4.jpg", mpp=200 / 272)
    with (real_data / "her2st" / "B4_selection.tsv").open() as stream:
        spots = [row for row in csv.DictReader(stream, delimiter="\t") if row["selected"] == "1"]
    centres = np.array([(float(row["pixel_y"]), float(row["pixel_x"])) for row in spots])
    tiles = Tiles(centres, 200.0, tuple(map(str, range(len(spots)))), 100.0)
    assert slide.levels[0].pixels[0, 0].shape == (3,)  # decoded once, before the clock starts
    start = time.process_time()
    crops = _all(slide, tiles, crop_um=300, mpp=1.0)
    assert time.process_time() - start < 3  # about 0.4 s on an idle core
    assert crops.shape == (len(spots), 300, 300, 3)
