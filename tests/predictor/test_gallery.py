"""Retrieval equals brute force, whatever the blocks, and breaks ties the same way every time."""

from __future__ import annotations

import numpy as np
import pytest

from histoscribe.errors import SettingError
from histoscribe.predictor.retrieval import gallery, index as index_module
from histoscribe.predictor.retrieval.gallery import average, retrieve
from histoscribe.predictor.retrieval.index import build_index


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


def clustered(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(60, 16))
    return (centres[rng.integers(0, 60, count)] + 0.5 * rng.normal(size=(count, 16))).astype(np.float32)


def test_the_index_finds_nearly_all_and_looks_at_every_cell_if_asked():
    keys, queries = clustered(6000, 1), clustered(50, 2)
    index = build_index(keys, seed=0)
    exact = retrieve(queries, keys, 20)
    few = index.search(queries, 20, probes=16)
    recall = np.mean([len(set(a) & set(b)) / 20 for a, b in zip(few.index, exact.index, strict=True)])
    assert recall > 0.9
    all_cells = index.search(queries, 20, probes=10_000)
    np.testing.assert_allclose(all_cells.similarity, exact.similarity, atol=1e-5)


def test_every_found_key_has_the_similarity_that_is_told(monkeypatch):
    keys, queries = clustered(3000, 1), clustered(40, 2)
    index = build_index(keys, seed=0)
    whole = index.search(queries, 20, probes=5)
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (queries, keys)]
    told = (unit[0][:, None] * unit[1][whole.index]).sum(axis=2)
    np.testing.assert_allclose(whole.similarity, told, atol=1e-5)
    assert all(len(set(line)) == 20 for line in whole.index)

    monkeypatch.setattr(index_module, "_SCORE_BYTES", 1)
    one_by_one = index.search(queries, 20, probes=5)
    np.testing.assert_array_equal(one_by_one.index, whole.index)
    assert index.search(queries[:0], 20).index.shape == (0, 20)


def test_cells_with_too_few_keys_repeat_the_nearest_without_weight():
    keys = clustered(40, 1)
    found = build_index(keys, cells=10, seed=0).search(clustered(5, 2), 30, probes=1)
    assert found.index.shape == (5, 30)
    weights = found.weights(0.05)
    assert np.isfinite(weights).all()
    assert weights[found.similarity == -1].max(initial=0) < 1e-3


def test_an_index_of_nothing_is_refused():
    with pytest.raises(SettingError, match="no reference"):
        build_index(rows(0, 0))
