from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate1d, uniform_filter

from histoscribe.features.builtin.planes import band_power, box_mean, halved, slopes, smoothed, window_means
from histoscribe.features.builtin.stain_scales import WINDOWS_UM, StainScale, margin, stain_scales

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


def tensor(maps: np.ndarray) -> np.ndarray:
    down, along = np.gradient(maps, axis=-2), np.gradient(maps, axis=-1)
    return np.stack([down**2 - along**2, 2 * down * along, down**2 + along**2])


def test_slopes_are_numpys() -> None:
    maps = RANDOM.random((9, 9), dtype=np.float32)
    found = np.empty((3, 9, 9), dtype=np.float32)
    slopes(maps, found)
    np.testing.assert_allclose(found, tensor(maps), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("window_um", "inside"), [(4.0, slice(2, 6)), (100.0, slice(None))])
def test_sums_are_over_the_middle(window_um: float, inside: slice) -> None:
    maps = RANDOM.random((2, 3, 8, 8), dtype=np.float32)
    edge = margin(maps, 1.0, window_um)
    middle = maps[..., inside, inside]
    np.testing.assert_allclose(window_means(maps, edge), middle.mean((2, 3)), rtol=1e-6)
    band = (maps - smoothed(maps))[..., inside, inside]
    np.testing.assert_allclose(band_power(maps, edge), (band**2).mean((2, 3)), rtol=1e-5)


@pytest.mark.parametrize("um", [1.0, 4.0, 8.0])
def test_band_statistics_are_what_numpy_finds_in_every_window(um: float) -> None:
    maps = RANDOM.random((3, 2, 128, 128), dtype=np.float32)
    found = StainScale(um, maps).statistics
    smooth = smoothed(maps)
    band, slope = maps - smooth, tensor(smooth[0] + smooth[1])
    near = smoothed(halved(slope[:2].astype(np.float32)))
    np.testing.assert_array_equal(found.hematoxylin, smooth[0])
    np.testing.assert_allclose(found.sizes, halved(np.abs(band[:2])), rtol=1e-5)
    for window, window_um in enumerate(WINDOWS_UM):
        edge, coarse = margin(maps, um, window_um), margin(near, 2 * um, window_um)
        inner, half = slice(edge, 128 - edge), slice(coarse, 64 - coarse)

        def mean(values: np.ndarray, inside: slice = inner) -> np.ndarray:
            return values[..., inside, inside].mean((-2, -1), dtype=np.float64)

        pairs = {
            "power": (found.power, mean(band**2)),
            "cube": (found.cube, mean(band[:2] ** 3)),
            "size": (found.size, mean(np.abs(band[:2]))),
            "product": (found.product, mean(band[0] * band[1])),
            "tensor": (found.tensor, mean(slope)),
            "near": (found.near, mean(np.hypot(*near), half)),
        }
        for name, (got, expected) in pairs.items():
            np.testing.assert_allclose(got[window], expected, rtol=1e-4, atol=1e-7, err_msg=name)


def test_views_have_doubling_pixels_and_agree_on_the_amount(crops: np.ndarray) -> None:
    views = stain_scales(crops[:2], 1.0, levels=6, core_um=256)
    assert [view.um for view in views] == [1, 2, 4, 8, 16, 32]
    assert [view.stains.shape[-1] for view in views] == [256, 256, 128, 64, 32, 16]
    means = [window_means(view.stains, margin(view.stains, view.um, 256)) for view in views]
    for mean in means[2:]:
        np.testing.assert_allclose(mean, means[1], atol=1e-5)
    np.testing.assert_allclose(means[0], means[1], atol=0.01)
