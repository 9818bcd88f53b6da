"""Reading at any scale: exact areas, white outside, the same value however it is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from histoscribe.slide import Level, Slide, Window
from histoscribe.slide.resample import read_window

_SHAPE = (61, 83)
_OUTSIDE = st.floats(-40, 120, allow_nan=False)
_EXTENT = st.floats(0, 60, allow_nan=False)


@pytest.fixture(scope="module")
def pixels(picture):
    return picture(*_SHAPE)


def _exact(pixels, downsample: float, region: Window, scale: float):
    """Area means by integrating the picture's cumulative sum: slow, obvious, float64."""
    shape = round(region.height * scale), round(region.width * scale)
    field = np.full((400, 400, 3), 255.0)  # white plane; the picture's corner lies at (200, 200)
    field[200 : 200 + pixels.shape[0], 200 : 200 + pixels.shape[1]] = pixels
    total = np.zeros((401, 401, 3))
    total[1:, 1:] = field.cumsum(axis=0).cumsum(axis=1)
    step = 1 / (scale * downsample)
    rows = region.row / downsample + np.arange(shape[0] + 1) * step + 200
    columns = region.column / downsample + np.arange(shape[1] + 1) * step + 200

    def along(values, places):
        low = np.floor(places).astype(int)
        share = (places - low)[:, None, None]
        return values[low] * (1 - share) + values[low + 1] * share

    at = along(total, rows)
    at = along(at.transpose(1, 0, 2), columns).transpose(1, 0, 2)
    return np.diff(np.diff(at, axis=0), axis=1) / step**2


@settings(max_examples=80)
@given(_OUTSIDE, _OUTSIDE, _EXTENT, _EXTENT, st.floats(0.05, 0.99), st.sampled_from([1.0, 2.0, 1.37]))
def test_shrinking_is_the_mean_of_the_area(pixels, row, column, height, width, factor, downsample):
    region, scale = Window(row, column, height, width), factor / downsample
    read = read_window(Level(pixels, downsample), region, scale)
    assert read.shape == (round(height * scale), round(width * scale), 3)
    if read.size:
        # edges are rounded to 1/4096 pixel, values to whole numbers
        assert np.abs(read - _exact(pixels, downsample, region, scale)).max() < 0.75


@settings(max_examples=80)
@given(
    top=st.integers(-20, 60),
    left=st.integers(-20, 60),
    down=st.integers(0, 30),
    across=st.integers(0, 30),
    corner=st.tuples(_OUTSIDE, _OUTSIDE),
    scale=st.floats(0.1, 3),
    downsample=st.sampled_from([1.0, 2.0, 3.7]),
)
def test_a_region_equals_a_crop_of_a_larger_read(pixels, top, left, down, across, corner, scale, downsample):
    level = Level(pixels, downsample)
    whole = read_window(level, Window(*corner, 100 / scale, 100 / scale), scale)
    inner = Window(corner[0] + top / scale, corner[1] + left / scale, down / scale, across / scale)
    part = read_window(level, inner, scale)
    expected = whole[max(0, top) : max(0, top + down), max(0, left) : max(0, left + across)]
    part = part[max(0, -top) :, max(0, -left) :]
    if expected.size:
        np.testing.assert_array_equal(part[: expected.shape[0], : expected.shape[1]], expected)


@settings(max_examples=60)
@given(st.integers(-90, 90), st.integers(-90, 90), st.integers(0, 90), st.integers(0, 90))
def test_own_scale_copies_pixels_and_is_white_outside(pixels, row, column, height, width):
    read = read_window(Level(pixels, 1.0), Window(row, column, height, width), 1.0)
    plane = np.full((300, 300, 3), 255, dtype=np.uint8)
    plane[100 : 100 + _SHAPE[0], 100 : 100 + _SHAPE[1]] = pixels
    np.testing.assert_array_equal(
        read, plane[100 + row : 100 + row + height, 100 + column : 100 + column + width]
    )


def test_enlarging_is_linear_between_pixel_centres():
    ramp = np.repeat((np.arange(20, dtype=np.uint8) * 10)[None, :, None], 20, axis=0).repeat(3, axis=2)
    read = read_window(Level(ramp, 1.0), Window(5, 5, 4, 4), 2.0)[0, :, 0]
    np.testing.assert_allclose(read, (np.arange(8) + 0.5) * 5 + 45, atol=0.51)


def test_slide_edge_is_not_mixed_with_white_when_enlarging(picture):
    dark = np.full((10, 10, 3), 40, dtype=np.uint8)
    read = read_window(Level(dark, 1.0), Window(-1, -1, 12, 12), 4.0)
    assert (read[4:44, 4:44] == 40).all()
    assert (read[:4] == 255).all()
    assert (read[:, 44:] == 255).all()


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 2 / 3])
def test_sub_pixel_shift_moves_the_centre_of_mass(shift):
    dot = np.zeros((64, 64, 3), dtype=np.uint8)
    dot[28:36, 28:36] = 240
    read = read_window(Level(dot, 1.0), Window(shift, 0, 64, 64), 0.5)[4:28, :, 0].astype(float)
    centre = (read.sum(axis=1) * (np.arange(24) + 4.5)).sum() / read.sum()
    assert centre == pytest.approx((32 - shift) / 2, abs=0.01)


def test_strips_and_parts_leave_no_trace(pixels, monkeypatch):
    level, region = Level(pixels, 1.0), Window(-3.3, -5.1, 70, 95)
    for scale in (0.4, 1.0, 1.7):
        whole = read_window(level, region, scale)
        with monkeypatch.context() as patch:
            patch.setattr("histoscribe.slide.resample._STRIP", 700)
            patch.setattr("histoscribe.slide.resample._PART", 200)
            np.testing.assert_array_equal(read_window(level, region, scale), whole)


def test_slide_whose_only_level_is_reduced(pixels):
    """A small image stands for a full-resolution one that is not at hand."""
    slide = Slide(Path("hires.png"), (Level(pixels, 8.0),), mpp=0.5)
    assert slide.shape == (61 * 8, 83 * 8)
    np.testing.assert_array_equal(slide.read(Window(80, 160, 240, 320), 4.0), pixels[10:40, 20:60])
    finer = slide.read(Window(80, 160, 240, 320), 0.5)
    assert finer.shape == (240, 320, 3)
    assert np.abs(finer.mean(axis=(0, 1)) - pixels[10:40, 20:60].mean(axis=(0, 1))).max() < 2
