from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import ndimage

from histoscribe.features.builtin.nuclei import Nuclei, describe_nuclei, find_nuclei, measure_blobs
from histoscribe.features.builtin.stain_scales import stain_scales


def found(crop: np.ndarray) -> Nuclei:
    return find_nuclei(stain_scales(crop[None], 1.0, 1, core_um=256)[0])


def described(nuclei: Nuclei) -> dict[str, float]:
    return {name: float(values[0]) for name, values in describe_nuclei(nuclei, 1, 256)}


def test_nuclei_are_counted_and_measured(paint: Callable[..., np.ndarray]) -> None:
    nuclei = found(paint(nuclei=200, radius_um=4))
    expected = 200 * (256 / 512) ** 2
    assert 0.7 * expected < len(nuclei.tile) < 1.2 * expected
    assert np.median(nuclei.area_um2) == pytest.approx(np.pi * 16, rel=0.35)
    assert np.median(nuclei.elongation) < 0.2
    assert np.median(nuclei.darkness) == pytest.approx(0.6, abs=0.2)


def test_long_nuclei_are_long_and_agree_on_their_axis(paint: Callable[..., np.ndarray]) -> None:
    straight = described(found(paint(nuclei=150, stretch=1.6)))
    round_ones = described(found(paint(nuclei=150)))
    name = "nuclear elongation (log axis ratio), 256 µm window, mean"
    assert straight[name] > round_ones[name] + 0.4
    name = "nuclear agreement of axes, 256 µm window, mean"
    assert straight[name] > 0.6 > round_ones[name] + 0.4


def test_more_nuclei_are_denser_and_closer(paint: Callable[..., np.ndarray]) -> None:
    few, many = (described(found(paint(nuclei=number))) for number in (80, 500))
    assert many["nuclei, 256 µm window (log per mm²)"] > few["nuclei, 256 µm window (log per mm²)"] + 1
    name = "nuclear nearest neighbour (µm), 256 µm window, mean"
    assert many[name] < few[name]


def test_touching_nuclei_part() -> None:
    rows, columns = np.indices((256, 256))
    crop = np.full((256, 256, 3), 235, dtype=np.uint8)
    for column in (121, 134):
        crop[np.hypot(rows - 128, columns - column) < 5.2] = (80, 60, 130)
    assert len(found(crop).tile) == 2


def test_nothing_is_found_on_glass_and_still_described() -> None:
    nuclei = found(np.full((256, 256, 3), 255, dtype=np.uint8))
    assert len(nuclei.tile) == 0
    assert all(value == 0 for value in described(nuclei).values())


def test_neighbours_in_another_crop_do_not_count(paint: Callable[..., np.ndarray]) -> None:
    crop = paint(nuclei=200)
    both = find_nuclei(stain_scales(np.stack([crop, paint(3, nuclei=400)]), 1.0, 1, core_um=256)[0])
    alone, beside = found(crop), [values[0] for _, values in describe_nuclei(both, 2, 256)]
    assert list(described(alone).values()) == beside


def in_order(rows: np.ndarray) -> np.ndarray:
    """Rows sorted by size and place."""
    return rows[np.lexsort(np.round(rows[:, :3], 6).T)]


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0, 1),
    shape=st.tuples(st.integers(1, 24), st.integers(1, 24)),
)
def test_blobs_are_those_of_scipy(seed: int, share: float, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(seed)
    mask = random.random(shape) < share
    dark, eosin = random.random((2, *shape), dtype=np.float32)
    found = measure_blobs(mask, dark, eosin, 0, np.inf)
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    numbers = np.arange(1, count + 1)
    rows, columns = np.indices(shape)
    assert len(found) == count
    if count == 0:
        return
    expected = np.column_stack(
        [
            np.bincount(labels.ravel(), minlength=count + 1)[1:],
            ndimage.mean(rows, labels, numbers),
            ndimage.mean(columns, labels, numbers),
            ndimage.variance(rows, labels, numbers) + 1 / 12,
            ndimage.variance(columns, labels, numbers) + 1 / 12,
            ndimage.mean(dark, labels, numbers),
            ndimage.mean(eosin, labels, numbers),
        ]
    )
    np.testing.assert_allclose(
        in_order(found[:, [0, 1, 2, 3, 4, 6, 8]]), in_order(expected), rtol=1e-5, atol=1e-7
    )


def test_size_bounds_leave_out() -> None:
    mask = np.zeros((8, 8), dtype=bool)
    mask[0, 0], mask[2, :3], mask[5:7] = True, True, True
    stain = np.ones((8, 8), dtype=np.float32)
    assert measure_blobs(mask, stain, stain, 2, 10)[:, 0].tolist() == [3]
