"""Tiles like the training tiles are familiar, others are not, in either system."""

from __future__ import annotations

import numpy as np

from histoscribe.predictor.novelty import distance_to, learn_familiar


def tiles(seed: int, count: int = 200, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(count, 8)).astype(np.float32) + np.float32(shift)
    return raw, raw[:, :5] * np.float32(2)


def test_new_tiles_of_the_same_kind_are_familiar():
    seen = [tiles(0), tiles(1)]
    known = learn_familiar([raw for raw, _ in seen], [reduced for _, reduced in seen], seed=0)
    assert (known.novelty(*tiles(2)) > 1).mean() < 0.05


def test_strange_stains_and_strange_structures_are_told():
    seen = [tiles(0), tiles(1)]
    known = learn_familiar([raw for raw, _ in seen], [reduced for _, reduced in seen], seed=0)
    raw, reduced = tiles(2)
    assert (known.novelty(raw + 4, reduced) > 1).all()
    assert (known.novelty(raw, reduced + 12) > 1).all()


def test_a_single_section_is_compared_with_itself():
    raw, reduced = tiles(0)
    known = learn_familiar([raw], [reduced], seed=0)
    assert (known.limits > 0).all()
    assert (known.novelty(*tiles(3)) > 1).mean() < 0.1


def test_distance_equals_brute_force():
    rng = np.random.default_rng(0)
    rows, known = rng.normal(size=(7, 3)).astype(np.float32), rng.normal(size=(30, 3)).astype(np.float32)
    each = np.sort(np.linalg.norm(rows[:, None] - known[None], axis=2), axis=1)
    np.testing.assert_allclose(distance_to(rows, known), each[:, :5].mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(distance_to(rows, known, skip=1), each[:, 1:6].mean(axis=1), rtol=1e-4)
