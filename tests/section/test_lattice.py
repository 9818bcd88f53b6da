from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from histoscribe.section.lattice import free_spacing, neighbour_distance, square_spacing, visium_spacing


def turned(points: np.ndarray, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return points @ np.array([[c, s], [-s, c]])


def hexagons(rows: int = 14, columns: int = 12) -> np.ndarray:
    return np.array([(r, 2 * c + r % 2) for r in range(rows) for c in range(columns)], dtype=float)


@given(
    mpp=st.floats(0.1, 5), angle=st.floats(-np.pi, np.pi), share=st.floats(0.15, 1), seed=st.integers(0, 99)
)
@settings(max_examples=40)
def test_visium_mpp_is_found_turned_thinned_and_jittered(
    mpp: float, angle: float, share: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    array = hexagons()
    um = array * [50 * np.sqrt(3), 50] + random.normal(0, 2, array.shape)
    kept = random.random(len(array)) < share
    kept[[0, 5, 40, -1]] = True
    spacing = visium_spacing(array[kept], turned(um / mpp, angle)[kept] + 700, 100.0)
    assert spacing is not None
    assert spacing.mpp == pytest.approx(mpp, rel=0.02)
    assert spacing.warnings == ()


@given(mpp=st.floats(0.1, 5), angle=st.floats(-np.pi, np.pi), every_other=st.booleans())
@settings(max_examples=40)
def test_legacy_mpp_is_found_full_or_checkerboard(mpp: float, angle: float, every_other: bool) -> None:
    array = np.array([(x, y) for x in range(12) for y in range(12) if not every_other or (x + y) % 2], float)
    unit_um = 100.0 if every_other else 200.0
    spacing = square_spacing(array, turned(array * unit_um / mpp, angle), 200.0)
    assert spacing is not None
    assert spacing.mpp == pytest.approx(mpp, rel=1e-6)
    assert spacing.pitch_um == pytest.approx(200 / np.sqrt(2) if every_other else 200)


def test_one_wild_spot_does_not_matter() -> None:
    array = hexagons()
    centres = array * [50 * np.sqrt(3), 50]
    centres[7] += 5000
    spacing = visium_spacing(array, centres, 100.0)
    assert spacing is not None
    assert spacing.mpp == pytest.approx(1.0, rel=1e-3)


def test_what_is_no_visium_lattice_is_said() -> None:
    array = hexagons()
    spacing = visium_spacing(array, array * 50, 100.0)
    assert spacing is not None
    assert "do not form a Visium lattice" in spacing.warnings[0]
    mirrored = visium_spacing(array, array * [50 * np.sqrt(3), -50], 100.0)
    assert mirrored is not None
    assert "mirrored" in mirrored.warnings[0]


def test_a_stretched_array_is_said() -> None:
    array = np.array([(x, y) for x in range(6) for y in range(6)], float)
    spacing = square_spacing(array, array * [200, 300], 200.0)
    assert spacing is not None
    assert "stretched" in spacing.warnings[0]


@pytest.mark.parametrize("array", [np.zeros((0, 2)), np.ones((5, 2)), np.array([[0, 0], [1, 0], [2, 0.0]])])
def test_too_few_places_give_none(array: np.ndarray) -> None:
    assert visium_spacing(array, array * 50, 100.0) is None
    assert square_spacing(array, array * 50, 100.0) is None


def test_nearest_neighbours() -> None:
    points = np.array([[0, 0], [0, 3], [0, 6], [40, 40.0]])
    assert neighbour_distance(points) == 3.0
    assert np.isnan(neighbour_distance(points[:1]))
    assert free_spacing(points[:1], 100.0) is None
    assert free_spacing(np.zeros((4, 2)), 100.0) is None
