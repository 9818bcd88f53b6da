from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate1d, uniform_filter

from histoscribe.features.planes import box_mean, gradients, halved, smoothed
from histoscribe.features.sums import band_means, window_means
from histoscribe.features.views import View, views_of

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


def test_box_mean_is_scipys() -> None:
    maps = RANDOM.random((2, 30, 24), dtype=np.float32)
    expected = uniform_filter(maps, (1, 9, 9), mode="nearest")
    np.testing.assert_allclose(box_mean(maps, 9), expected, rtol=1e-5)


def test_gradients_are_numpys() -> None:
    maps = RANDOM.random((2, 9, 9), dtype=np.float32)
    down, along = np.gradient(maps, axis=1), np.gradient(maps, axis=2)
    expected = [down**2 - along**2, 2 * down * along, down**2 + along**2]
    np.testing.assert_allclose(gradients(maps), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("window_um", "inside"), [(4.0, slice(2, 6)), (100.0, slice(None))])
def test_sums_are_over_the_middle(window_um: float, inside: slice) -> None:
    maps, smooth = RANDOM.random((2, 3, 1, 8, 8), dtype=np.float32)
    view = View(1.0, maps)
    middle = maps[..., inside, inside]
    np.testing.assert_allclose(window_means(maps, view.margin(window_um)), middle.mean((2, 3)), rtol=1e-6)
    band = middle - smooth[..., inside, inside]
    expected = [band**2, band**3, abs(band), band * np.roll(band, -1, axis=0)]
    found = band_means(maps, smooth, view.margin(window_um))
    np.testing.assert_allclose(found, [part.mean((2, 3)) for part in expected], rtol=1e-5, atol=1e-8)


def test_views_have_doubling_pixels_and_agree_on_the_amount(crops: np.ndarray) -> None:
    views = views_of(crops[:2], 1.0, levels=6, core_um=256)
    assert [view.um for view in views] == [1, 2, 4, 8, 16, 32]
    assert [view.stains.shape[-1] for view in views] == [256, 256, 128, 64, 32, 16]
    means = [window_means(view.stains, view.margin(256)) for view in views]
    for mean in means[2:]:
        np.testing.assert_allclose(mean, means[1], atol=1e-5)
    np.testing.assert_allclose(means[0], means[1], atol=0.01)
