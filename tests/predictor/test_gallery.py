"""Retrieval equals brute force, whatever the blocks, and breaks ties the same way every time."""

from __future__ import annotations

import numpy as np
import pytest

from histoscribe.errors import SettingError
from histoscribe.predictor.retrieval import gallery
from histoscribe.predictor.retrieval.gallery import average, retrieve


def rows(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 6)).astype(np.float32)


@pytest.mark.parametrize("block_bytes", [1, 4000, 10**8])
@pytest.mark.parametrize("k", [1, 5, 40, 99])
def test_equals_brute_force(monkeypatch, block_bytes, k):
    monkeypatch.setattr(gallery, "_BLOCK_BYTES", block_bytes)
    queries, keys = rows(17, 0), rows(40, 1)
    found = retrieve(queries, keys, k)
    unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in (queries, keys)]
    cosine = unit[0] @ unit[1].T
    expected = np.argsort(-cosine, axis=1)[:, :k]
    np.testing.assert_array_equal(found.index, expected)
    np.testing.assert_allclose(found.similarity, np.take_along_axis(cosine, expected, 1), atol=1e-6)


def test_ties_go_to_the_lower_number():
    keys = np.ones((30, 6), dtype=np.float32)
    np.testing.assert_array_equal(retrieve(keys[:2], keys, 4).index, [[0, 1, 2, 3]] * 2)


def test_average_is_the_weighted_mean():
    values, found = rows(40, 2), retrieve(rows(5, 0), rows(40, 1), 7)
    weights = found.weights(0.3)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    expected = (values[found.index] * weights[..., None]).sum(axis=1)
    np.testing.assert_allclose(average(values, found.index, weights), expected, atol=1e-5)


def test_low_temperature_is_the_nearest_alone():
    found = retrieve(rows(5, 0), rows(40, 1), 7)
    np.testing.assert_allclose(found.weights(1e-4)[:, 0], 1, atol=1e-3)


def test_an_empty_gallery_is_refused():
    with pytest.raises(SettingError, match="cannot retrieve"):
        retrieve(rows(3, 0), rows(0, 1), 5)


def test_queries_in_several_blocks_and_ties_across_blocks(monkeypatch):
    monkeypatch.setattr(gallery, "_BLOCK_BYTES", 1)
    monkeypatch.setattr(gallery, "_QUERIES", 4)
    keys = np.repeat(rows(9, 1), 5, axis=0)
    found = retrieve(rows(10, 0), keys, 7)
    for line in found.index:
        assert len(set(line)) == 7
        assert list(line[:5]) == sorted(line[:5])


def test_keys_may_be_halves():
    found = retrieve(rows(5, 0), rows(40, 1).astype(np.float16), 7)
    assert (found.index == retrieve(rows(5, 0), rows(40, 1), 7).index).mean() > 0.9
