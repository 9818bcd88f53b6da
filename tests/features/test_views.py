from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate1d

from histoscribe.features.views import View, box_mean, halved, smoothed, views_of

RANDOM = np.random.default_rng(0)


def test_halving_keeps_the_mean_of_each_block() -> None:
    maps = RANDOM.random((2, 8, 6), dtype=np.float32)
    np.testing.assert_allclose(halved(maps), maps.reshape(2, 4, 2, 3, 2).mean((2, 4)), rtol=1e-6)


def test_smoothing_is_binomial_inside() -> None:
    maps = RANDOM.random((1, 20, 20), dtype=np.float32)
    kernel = np.array([1, 4, 6, 4, 1]) / 16
    expected = correlate1d(correlate1d(maps, kernel, axis=1), kernel, axis=2)
    np.testing.assert_allclose(smoothed(maps)[:, 3:-3, 3:-3], expected[:, 3:-3, 3:-3], rtol=1e-5)


def test_smoothing_leaves_a_flat_map_alone() -> None:
    flat = np.full((2, 9, 9), 0.25, dtype=np.float32)
    np.testing.assert_array_equal(smoothed(flat), flat)
    np.testing.assert_allclose(box_mean(flat, 5), flat, rtol=1e-6)


@pytest.mark.parametrize("axis", [-1, -2])
def test_smoothing_a_mirrored_map_mirrors_the_result_to_the_bit(axis: int) -> None:
    maps = RANDOM.random((2, 16, 16), dtype=np.float32)
    np.testing.assert_array_equal(smoothed(np.flip(maps, axis)), np.flip(smoothed(maps), axis))


def test_shown_is_the_middle() -> None:
    view = View(2.0, np.zeros((3, 1, 8, 8), dtype=np.float32))
    maps = np.arange(64, dtype=np.float32).reshape(1, 8, 8)
    np.testing.assert_array_equal(view.shown(maps, 4.0)[0], [27, 28, 35, 36])
    assert view.shown(maps, 100.0).shape == (1, 64)


def test_views_have_doubling_pixels_and_agree_on_the_amount(crops: np.ndarray) -> None:
    views = views_of(crops[:2], 1.0, levels=6, core_um=256)
    assert [view.um for view in views] == [1, 2, 4, 8, 16, 32]
    assert [view.stains.shape[-1] for view in views] == [256, 256, 128, 64, 32, 16]
    means = [view.shown(view.stains, 256).mean(-1) for view in views]
    for mean in means[2:]:
        np.testing.assert_allclose(mean, means[1], atol=1e-5)
    np.testing.assert_allclose(means[0], means[1], atol=0.01)
