"""The closed-form expert: both ways to solve it agree, and it writes no more than its rank."""

from __future__ import annotations

import numpy as np
import pytest

from histoscribe.predictor.linear import principal_axes, reduced_rank_ridge


@pytest.mark.parametrize("shape", [(30, 12), (12, 30)])
def test_equals_the_normal_equations(shape):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=shape), rng.normal(size=(shape[0], 5))
    y -= y.mean(axis=0)
    expected = np.linalg.solve(x.T @ x + 3.0 * shape[1] * np.eye(shape[1]), x.T @ y)
    np.testing.assert_allclose(reduced_rank_ridge(x, y, 5), expected, atol=1e-5)
    assert np.linalg.matrix_rank(reduced_rank_ridge(x, y, 2), tol=1e-4) == 2


@pytest.mark.parametrize("shape", [(30, 12), (12, 30)])
def test_axes_are_orthonormal_and_hold_the_largest_variance(shape):
    values = np.random.default_rng(1).normal(size=shape) * np.arange(1, shape[1] + 1)
    axes = principal_axes(values, 4)
    np.testing.assert_allclose(axes.T @ axes, np.eye(4), atol=1e-5)
    expected = np.linalg.svd(values - values.mean(axis=0))[1][:4] ** 2
    np.testing.assert_allclose(
        (((values - values.mean(axis=0)) @ axes) ** 2).sum(axis=0), expected, rtol=1e-4
    )
