from __future__ import annotations

import numpy as np
import pytest

from histoscribe.features.stains import optical_density, unmix


def test_white_has_no_density_and_black_a_finite_one() -> None:
    density = optical_density(np.array([255, 0], dtype=np.uint8), 255)
    assert density[0] == 0
    assert density[1] == pytest.approx(np.log10(256))


def test_summed_light_has_the_density_of_its_mean() -> None:
    light = np.arange(256, dtype=np.uint16)
    np.testing.assert_allclose(optical_density(4 * light, 1020), optical_density(light, 255), atol=1e-6)


def test_unmixing_gives_back_what_was_mixed() -> None:
    hematoxylin, eosin = np.array([0.65, 0.70, 0.29]), np.array([0.07, 0.99, 0.11])
    mixed = 0.4 * hematoxylin / np.linalg.norm(hematoxylin) + 0.2 * eosin / np.linalg.norm(eosin)
    amounts = unmix(mixed.astype(np.float32).reshape(3, 1))
    np.testing.assert_allclose(amounts[:, 0], [0.4, 0.2, 0.0], atol=1e-5)
