from __future__ import annotations

import numpy as np
import pytest

from histoscribe.features.builtin.colour import Named
from histoscribe.features.builtin.encoder import detail, direction, modulation, patterns
from histoscribe.features.builtin.stain_scales import StainScale


def view(maps: np.ndarray, um: float = 1.0) -> StainScale:
    """One crop with the same map for each stain."""
    return StainScale(um, np.repeat(maps[None, None].astype(np.float32), 3, axis=0))


def only(values: list[Named]) -> list[float]:
    return [float(value[0]) for _, value in values]


def stripes(period: float, angle: float = 0.0, side: int = 128) -> np.ndarray:
    rows, columns = np.indices((side, side))
    along = rows * np.cos(angle) + columns * np.sin(angle)
    return 0.3 + 0.1 * np.sin(2 * np.pi * along / period)


def test_fine_stripes_have_more_detail_than_coarse_ones() -> None:
    fine, coarse = (dict(detail(view(stripes(period)), (128,))) for period in (4, 32))
    name = "hematoxylin detail at 1 µm, 128 µm window (log OD²)"
    assert fine[name][0] > coarse[name][0] + 3


def test_identical_stains_share_all_their_detail() -> None:
    values = dict(detail(view(stripes(5)), (64,)))
    assert values["hematoxylin–eosin correlation of detail at 1 µm, 64 µm window"][0] == pytest.approx(
        1, abs=1e-3
    )


@pytest.mark.parametrize("angle", [0, 0.3, 0.8, np.pi / 2])
def test_stripes_are_coherent_whichever_way_they_run(angle: float) -> None:
    strength, local, overall = only(list(direction(view(stripes(12, angle)), (128,))))
    assert local > 0.9
    assert overall > 0.9
    assert strength > -9


def test_noise_is_not_coherent() -> None:
    noise = np.random.default_rng(0).normal(0.3, 0.1, (128, 128))
    _, local, overall = only(list(direction(view(noise), (128,))))
    assert local < 0.5
    assert overall < 0.1


def test_detail_that_comes_and_goes_is_modulated() -> None:
    carrier = stripes(4) - 0.3
    gate = (np.indices((128, 128))[1] // 8) % 2
    steady, patchy = (only(list(modulation(view(0.3 + carrier * part), 128))) for part in (1.0, gate))
    assert patchy[0] < steady[0]
    assert max(patchy[2::2]) > max(steady[2::2]) + 1


def test_shares_of_patterns_sum_to_one() -> None:
    noise = np.random.default_rng(0).normal(0.3, 0.1, (64, 64))
    shares = only(list(patterns(view(noise), 64)))
    assert len(shares) == 10
    assert sum(shares) == pytest.approx(1)


def test_a_flat_map_has_one_pattern() -> None:
    assert only(list(patterns(view(np.full((64, 64), 0.3)), 64))) == [1.0] + [0.0] * 9
