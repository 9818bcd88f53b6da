"""The spatial graph: symmetric, in units of pitch, without loops over spots."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from histoscribe.errors import SettingError
from histoscribe.graphs import context_means, spatial_graph

POINTS = arrays(np.int64, st.tuples(st.integers(1, 40), st.just(2)), elements=st.integers(0, 12))


def lattice(side: int) -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2).astype(float)


@settings(max_examples=40)
@given(POINTS)
def test_edges_run_both_ways(points):
    edges = spatial_graph(points, 1.0, radius=2.2)
    pairs = set(map(tuple, edges.T))
    assert pairs == {(b, a) for a, b in pairs}
    assert len(pairs) == edges.shape[1]
    assert edges.dtype == np.int64


@settings(max_examples=40)
@given(POINTS)
def test_edges_equal_those_of_all_pairs(points):
    edges = spatial_graph(points, 1.0, radius=2.2)
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    assert set(map(tuple, edges.T)) == set(zip(*np.nonzero(distance <= 2.2), strict=True))


@settings(max_examples=40)
@given(POINTS, st.floats(0.01, 1000))
def test_radius_counts_pitches_whatever_the_unit(points, factor):
    np.testing.assert_array_equal(
        spatial_graph(points, 1.0, radius=1.5), spatial_graph(points * factor, factor, radius=1.5)
    )


def test_square_lattice_has_eight_neighbours_and_itself():
    degree = np.bincount(spatial_graph(lattice(9), 1.0, radius=1.5)[1])
    assert degree[4 * 9 + 4] == 9
    assert np.bincount(spatial_graph(lattice(9), 1.0, radius=1.5, self_edges=False)[1])[40] == 8


@pytest.mark.parametrize(("pitch", "radius"), [(0, 1.5), (100, 0), (float("nan"), 1.5), (100, -1)])
def test_impossible_lengths_are_refused(pitch, radius):
    with pytest.raises(SettingError, match="positive"):
        spatial_graph(lattice(3), pitch, radius=radius)


def test_spots_without_position_are_refused():
    points = lattice(3)
    points[4] = np.nan
    with pytest.raises(SettingError, match="no finite position"):
        spatial_graph(points, 1.0)


def test_context_is_the_mean_within_the_radius():
    points, rng = lattice(6), np.random.default_rng(0)
    features = rng.normal(size=(36, 5)).astype(np.float32)
    found = context_means(features, points * 200, 200, (1.5, 3.0))
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    for block, radius in enumerate((1.5, 3.0)):
        near = (distance <= radius).astype(float)
        expected = near @ features / near.sum(1, keepdims=True)
        np.testing.assert_allclose(found[:, 5 * block : 5 * block + 5], expected, atol=1e-5)


def test_lonely_spot_has_itself_as_context():
    np.testing.assert_array_equal(context_means(np.ones((1, 3)), [[5.0, 5.0]], 200), np.ones((1, 6)))


def test_context_of_a_dense_grid_is_thinned_but_close():
    points = lattice(60) * 0.1
    features = np.sin(points).astype(np.float32)
    found = context_means(features, points, 1.0, (1.5,))
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    near = (distance <= 1.5).astype(float)
    expected = near @ features / near.sum(1, keepdims=True)
    assert np.abs(found - expected).max() < 0.01
    assert np.corrcoef(found[:, 0], expected[:, 0])[0, 1] > 0.999


def test_context_of_a_dense_grid_draws_no_circles():
    # One bright corner in an even field: its cells must not come into reach all at once.
    side = np.arange(0, 60, 1.0)
    points = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
    features = (points < 6).all(axis=1).astype(np.float32)[:, None]
    found = context_means(features, points, 10.0, (3.0,))[:, 0].reshape(60, 60)
    exact = np.array([features[np.hypot(*(points - spot).T) <= 30].mean() for spot in points]).reshape(60, 60)
    assert np.abs(np.diff(found, axis=0)).max() < 1.2 * np.abs(np.diff(exact, axis=0)).max()
    assert np.abs(found - exact).max() < 0.1 * exact.max()


def test_no_spots_give_no_context():
    assert context_means(np.empty((0, 4)), np.empty((0, 2)), 200).shape == (0, 8)
