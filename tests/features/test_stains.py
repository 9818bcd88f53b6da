from __future__ import annotations

import numpy as np
import pytest

from histoscribe.features.builtin.stains import optical_density, stain_maps


def test_white_has_no_density_and_black_a_finite_one() -> None:
    density = optical_density(255)
    assert density[255] == 0
    assert density[0] == pytest.approx(np.log10(256))


def test_summed_light_has_the_density_of_its_mean() -> None:
    np.testing.assert_allclose(optical_density(1020)[::4], optical_density(255), atol=1e-6)


def test_unmixing_gives_back_what_was_mixed() -> None:
    hematoxylin, eosin = np.array([0.65, 0.70, 0.29]), np.array([0.07, 0.99, 0.11])
    density = 0.4 * hematoxylin / np.linalg.norm(hematoxylin) + 0.2 * eosin / np.linalg.norm(eosin)
    light = np.round(256 * 10**-density - 1).astype(np.uint8)
    amounts = stain_maps(np.broadcast_to(light, (1, 4, 4, 3)))
    np.testing.assert_allclose(amounts[:, 0, 0, 0], [0.4, 0.2, 0.0], atol=0.01)


def test_blocks_average_light_and_not_density() -> None:
    random = np.random.default_rng(0)
    crops = random.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    mean = crops.reshape(2, 4, 2, 4, 2, 3).mean(axis=(2, 4))
    whole = np.round(mean).astype(np.uint8)
    np.testing.assert_allclose(stain_maps(crops, block=2), stain_maps(whole), atol=0.2)
    even = whole.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(stain_maps(even, block=2), stain_maps(whole), atol=1e-6)
