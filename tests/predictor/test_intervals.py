"""Intervals cover what they promise, widen with the noise, and need no model of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from histoscribe.predictor.intervals import DEPTHS, LEVEL, HeldOutTissue, Intervals, conformal, widening


def told(spots: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictions in [0, 3] of four genes; the noise of the measurement grows with them and is skewed."""
    rng = np.random.default_rng(seed)
    predicted = rng.uniform(0, 3, size=(spots, 4))
    noise = (0.1 + predicted) * (rng.exponential(size=predicted.shape) - 1)
    return predicted.astype(np.float32), np.maximum(predicted + noise, 0).astype(np.float32)


def held(spots: int, seed: int) -> HeldOutTissue:
    """The same as a held-out section whose depth cannot be changed."""
    return HeldOutTissue(*told(spots, seed), None, np.full(spots, 1000.0))


def counted(spots: int, seed: int, depth: float, shift: float = 0.0, *, known: bool = False) -> HeldOutTissue:
    """Counts of thirty genes whose mean is predicted, each gene's level shifted by its own factor."""
    rng = np.random.default_rng(seed)
    mean = np.tile(np.geomspace(2e-4, 2e-2, 30), (spots, 1))
    rate = mean * np.exp(0.4 * rng.standard_normal((spots, 30)) + shift * rng.standard_normal(30))
    counts = rng.poisson(rate * depth).astype(float)
    measured = np.log1p(1e4 * counts / depth).astype(np.float32)
    predicted = np.log1p(1e4 * mean * np.exp(0.05 * rng.standard_normal(mean.shape))).astype(np.float32)
    return HeldOutTissue(predicted, measured, counts, np.full(spots, depth), known)


def coverage(intervals: Intervals, predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Share of the spots whose measured value lies within its interval, per gene."""
    low, high = intervals.around(predicted)
    slack = 1e-4  # float32 bounds: a measured value that made a bound must not fall out of it by rounding
    return ((measured >= low - slack) & (measured <= high + slack)).mean(axis=0)


def test_new_spots_are_covered_as_promised():
    found = conformal([held(600, 0), held(600, 1)])
    assert coverage(found, *told(2000, 2)).mean() == pytest.approx(LEVEL, abs=0.02)


def test_each_third_of_the_predictions_is_covered():
    found = conformal([held(3000, 0)])
    predicted, measured = told(6000, 3)
    low, high = found.around(predicted)
    inside = (measured >= low) & (measured <= high)
    for third in range(3):
        rows = np.searchsorted([1, 2], predicted[:, 0]) == third
        assert inside[rows, 0].mean() == pytest.approx(LEVEL, abs=0.04)
    width = high - low
    assert width[predicted[:, 0] > 2, 0].mean() > 1.5 * width[predicted[:, 0] < 1, 0].mean()


@settings(max_examples=25)
@given(st.integers(3, 60), st.integers(0, 100))
def test_few_spots_give_wide_bounds_that_hold_the_prediction_apart_from_zero(spots, seed):
    predicted, measured = told(spots, seed)
    found = conformal([held(spots, seed)])
    low, high = found.around(predicted)
    assert (low <= high).all()
    assert (low >= 0).all()
    assert np.isfinite(high).all()
    assert coverage(found, predicted, measured).mean() >= LEVEL - 1e-9


@pytest.mark.parametrize("depth", [500.0, 5000.0, 15_000.0])
def test_bounds_hold_at_a_depth_that_was_not_trained_on(depth):
    found = conformal([counted(300, 0, 5000, known=True), counted(300, 1, 5000, known=True)])
    new = counted(600, 2, depth)
    low, high = found.around(new.predicted, known=True, depth=new.depth)
    inside = (new.measured >= low - 1e-4) & (new.measured <= high + 1e-4)
    assert 0.86 < inside.mean() < 0.97
    plain = found.around(new.predicted, known=True)
    if depth < 5000:
        assert np.mean(high - low) > 1.2 * np.mean(plain[1] - plain[0])


def test_what_one_patient_cannot_show_widens_the_bounds_of_a_new_one():
    sections = [counted(300, 0, 5000, known=True), counted(300, 1, 5000, known=True)]
    found = conformal(sections, patients=1)
    shares = []
    for seed in range(6):
        new = counted(200, 10 + seed, 5000, shift=0.64 * 2**0.5)
        low, high = found.around(new.predicted, depth=new.depth)
        shares.append(((new.measured >= low - 1e-4) & (new.measured <= high + 1e-4)).mean())
    assert np.mean(shares) == pytest.approx(LEVEL, abs=0.05)
    known = found.around(new.predicted, known=True, depth=new.depth)
    assert np.mean(high - low) > 1.3 * np.mean(known[1] - known[0])
    many = conformal([*sections, counted(300, 3, 5000)], patients=9).around(new.predicted, depth=new.depth)
    assert np.mean(many[1] - many[0]) < np.mean(high - low)


def test_unlike_tiles_and_coarse_images_get_wider_bounds():
    wider = widening(np.array([0.5, 1.0, 4.0], dtype=np.float32), 4.0)
    np.testing.assert_allclose(wider, [1.1, 1.1, 1.1 * 2**0.5], rtol=1e-6)
    assert (widening(np.zeros(2, dtype=np.float32), None) == 1).all()
    found = conformal([held(300, 0)])
    predicted = np.full((3, 4), 5, dtype=np.float32)
    _, high = found.around(predicted, wider=wider)
    plain = found.around(predicted)
    np.testing.assert_allclose(high - predicted, (plain[1] - predicted) * wider[:, None], rtol=1e-4)


def test_the_same_seed_gives_the_same_bounds():
    sections = [counted(100, 0, 5000)]
    first, again = (conformal(sections, seed=3) for _ in range(2))
    assert (first.low == again.low).all()
    assert first.low.shape == (2, 1 + len(DEPTHS), 3, 30)


def test_intervals_of_earlier_versions_are_read_as_they_were():
    from histoscribe.models import bundled
    from histoscribe.predictor import Predictor
    from histoscribe.predictor.storage import from_tensors, to_tensors

    model = Predictor.load(bundled("olfactory-bulb"), device="cpu")
    tensors = to_tensors(model.fitted)
    del tensors["intervals.depths"]
    tensors["intervals.edges"] = tensors["intervals.edges"][0]
    for end in ("low", "high"):
        tensors[f"intervals.{end}"] = tensors[f"intervals.{end}"][0, 0]
    found, now = from_tensors(tensors, model.card).intervals, model.fitted.intervals
    assert found is not None
    assert now is not None
    predicted = np.ones((3, len(model.genes)), dtype=np.float32)
    for one, other in zip(found.around(predicted), now.around(predicted, known=True), strict=True):
        np.testing.assert_array_equal(one, other)
    deep = np.full(3, 9000.0)
    np.testing.assert_array_equal(found.around(predicted, depth=deep)[1], found.around(predicted)[1])
