"""The ridge and the axes: both ways to solve them agree, spots count by weight, genes share evidence."""

from __future__ import annotations

import numpy as np
import pytest

from histoscribe.predictor.linear import (
    expression_components,
    principal_axes,
    weighted_ridge,
)


@pytest.mark.parametrize("shape", [(30, 12), (12, 30)])
def test_ridge_equals_the_weighted_normal_equations(shape):
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=shape), rng.normal(size=(shape[0], 5)), rng.uniform(0.2, 3, shape[0])
    expected = np.linalg.solve((x.T * w) @ x + shape[1] * np.eye(shape[1]), (x.T * w) @ y)
    np.testing.assert_allclose(weighted_ridge(x, y, w), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(30, 12), (12, 30)])
def test_axes_are_orthonormal_and_hold_the_largest_variance(shape):
    values = np.random.default_rng(1).normal(size=shape) * np.arange(1, shape[1] + 1)
    axes = principal_axes(values, 4)
    np.testing.assert_allclose(axes.T @ axes, np.eye(4), atol=1e-5)
    expected = np.linalg.svd(values - values.mean(axis=0))[1][:4] ** 2
    np.testing.assert_allclose(
        (((values - values.mean(axis=0)) @ axes) ** 2).sum(axis=0), expected, rtol=1e-4
    )


def test_components_follow_the_spots_that_count():
    rng = np.random.default_rng(2)
    loud, quiet = rng.normal(size=(40, 1)), rng.normal(size=(40, 1)) * 3
    values = np.concatenate([loud @ np.ones((1, 6)), quiet @ np.array([[1.0, -1, 1, -1, 1, -1]])])
    weights = np.r_[np.full(40, 10.0), np.full(40, 0.1)]
    _, loadings = expression_components(values.astype(np.float32), weights, 1)
    np.testing.assert_allclose(np.abs(loadings[0]), np.full(6, 6**-0.5), atol=0.05)
    assert len(set(np.sign(loadings[0]))) == 1
