"""Coarse levels that a file lacks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from histoscribe.errors import SlideError
from histoscribe.slide import Level, open_slide, pyramid
from histoscribe.slide.pixels import RgbPixels
from histoscribe.slide.pyramid import complete, shrink


class _Flat(RgbPixels):
    """A level of one colour that counts its reads, whatever its size."""

    reads = 0

    def block(self, top: int, left: int, bottom: int, right: int):
        self.reads += 1
        return np.full((bottom - top, right - left, 3), 77, dtype=np.uint8)


@settings(max_examples=40)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 20), st.integers(300, 5000))
def test_shrinking_averages_squares_whatever_the_strips(picture, rows, columns, factor, strip):
    pixels = picture(rows, columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyramid, "_STRIP", strip)
        patch.setattr(pyramid, "_PART", strip // 3)
        small = shrink(pixels, factor)
    assert small.shape == (-(-rows // factor), -(-columns // factor), 3)
    whole = pixels[: rows // factor * factor, : columns // factor * factor].astype(float)
    means = whole.reshape(rows // factor, factor, columns // factor, factor, 3).mean(axis=(1, 3))
    assert np.abs(small[: rows // factor, : columns // factor] - means).max(initial=0) <= 0.5


def test_levels_are_added_until_an_overview_is_cheap(picture, write_tiff):
    slide = open_slide(write_tiff(picture(2500, 3001)))
    assert [level.shape for level in slide.levels] == [(2500, 3001), (1250, 1501), (625, 751)]
    assert [level.downsample for level in slide.levels] == [1, 2, 4]
    np.testing.assert_array_equal(
        slide.levels[2].pixels[100, 100], shrink(slide.levels[1].pixels, 2)[100, 100]
    )


def test_nothing_is_read_before_it_is_looked_at_and_then_only_once(tmp_path):
    flat = _Flat(3000, 3000, (512, 512))
    levels = complete([Level(flat, 1.5)], tmp_path)
    assert flat.reads == 0
    assert [level.downsample for level in levels] == [1.5, 3, 6]
    assert (levels[2].pixels[:] == 77).all()
    reads = flat.reads
    assert levels[1].pixels[5, 5].tolist() == [77, 77, 77]
    assert flat.reads == reads == 1


def test_made_levels_fit_in_memory(tmp_path):
    levels = complete([Level(_Flat(40_000, 45_000, (512, 512)), 1.0)], tmp_path)
    assert levels[1].downsample == 8
    assert max(levels[-1].shape) <= 1024
    assert sum(np.prod(level.shape) for level in levels[1:]) < 2**27


def test_giant_single_level_is_refused(tmp_path):
    with pytest.raises(SlideError, match="overview") as caught:
        complete([Level(_Flat(100_000, 100_000, (512, 512)), 1.0)], tmp_path)
    assert "pyramid" in caught.value.remedy
    small = Level(_Flat(900, 900, (512, 512)), 111.1)
    assert len(complete([Level(_Flat(100_000, 100_000, (512, 512)), 1.0), small], tmp_path)) == 2


def test_made_levels_are_read_only(picture, write_tiff):
    slide = open_slide(write_tiff(picture(1500, 1200)))
    with pytest.raises(ValueError, match="read-only"):
        slide.levels[-1].pixels[:][0, 0] = 0
