"""Regions out of painted pixels and of spots hold just those."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from histoscribe.tiles import mask_regions, region_at, spot_regions


@settings(max_examples=120)
@given(mask=arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_an_outline_holds_the_pixels_that_were_painted(mask):
    regions = mask_regions(mask, "Tumour", (1, 2, 3))
    places = np.argwhere(np.ones_like(mask))
    inside = region_at(regions, places) >= 0
    np.testing.assert_array_equal(inside.reshape(mask.shape), mask)
    assert sum(one.area for one in regions) == mask.sum()
    assert len({one.identity for one in regions}) <= 1  # parts of one annotation


def test_a_smoothed_outline_has_few_corners_and_nearly_the_area():
    row, column = np.mgrid[:200, :200]
    disc = (row - 100) ** 2 + (column - 100) ** 2 < 80**2
    (rough,), (smooth,) = (mask_regions(disc, "", (0, 0, 0), smooth=by) for by in (0, 1))
    assert len(smooth.polygon) < len(rough.polygon) / 4
    assert abs(smooth.area / rough.area - 1) < 0.02


@settings(max_examples=60)
@given(chosen=arrays(bool, (6, 7)), pitch=st.floats(5, 400))
def test_the_outline_of_spots_holds_them_and_no_other(chosen, pitch):
    places = np.argwhere(np.ones_like(chosen)) * pitch
    regions = spot_regions(places[chosen.ravel()], pitch, "", (0, 0, 0))
    np.testing.assert_array_equal(region_at(regions, places) >= 0, chosen.ravel())
