"""Intervals cover what they promise, widen with the noise, and need no model of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from histoscribe.predictor.intervals import LEVEL, Intervals, conformal


def told(spots: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictions in [0, 3] of four genes; the noise of the measurement grows with them and is skewed."""
    rng = np.random.default_rng(seed)
    predicted = rng.uniform(0, 3, size=(spots, 4))
    noise = (0.1 + predicted) * (rng.exponential(size=predicted.shape) - 1)
    return predicted.astype(np.float32), np.maximum(predicted + noise, 0).astype(np.float32)


def coverage(intervals: Intervals, predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Share of the spots whose measured value lies within its interval, per gene."""
    low, high = intervals.around(predicted)
    slack = 1e-4  # float32 bounds: a measured value that made a bound must not fall out of it by rounding
    return ((measured >= low - slack) & (measured <= high + slack)).mean(axis=0)


def test_new_spots_are_covered_as_promised():
    found = conformal([told(600, 0), told(600, 1)])
    assert coverage(found, *told(2000, 2)).mean() == pytest.approx(LEVEL, abs=0.02)


def test_each_third_of_the_predictions_is_covered():
    found = conformal([told(3000, 0)])
    predicted, measured = told(6000, 3)
    low, high = found.around(predicted)
    inside = (measured >= low) & (measured <= high)
    for third in range(3):
        rows = np.searchsorted([1, 2], predicted[:, 0]) == third
        assert inside[rows, 0].mean() == pytest.approx(LEVEL, abs=0.04)
    width = high - low
    assert width[predicted[:, 0] > 2, 0].mean() > 1.5 * width[predicted[:, 0] < 1, 0].mean()


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 60), st.integers(0, 100))
def test_few_spots_give_wide_bounds_that_hold_the_prediction_apart_from_zero(spots, seed):
    predicted, measured = told(spots, seed)
    found = conformal([(predicted, measured)])
    low, high = found.around(predicted)
    assert (low <= high).all()
    assert (low >= 0).all()
    assert np.isfinite(high).all()
    assert coverage(found, predicted, measured).mean() >= LEVEL - 1e-9
