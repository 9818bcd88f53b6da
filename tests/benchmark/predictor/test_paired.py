from __future__ import annotations

import numpy as np
import pytest

from histoscribe.benchmark.predictor.paired import compare_methods


def scores(gain: float, sizes: dict[str, int]) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    found = {}
    for name, size in sizes.items():
        base = rng.uniform(0, 0.5, size)
        found["old", name] = {"pearson": base}
        found["new", name] = {"pearson": base + gain + rng.normal(0, 0.05, size)}
    return found


@pytest.mark.parametrize("sizes", [{"A": 60, "B": 60}, {"A": 60, "B": 48}])
def test_panels_of_any_length_are_compared(sizes):
    better = compare_methods(scores(0.05, sizes), list(sizes), "new", "old")
    same = compare_methods(scores(0.0, sizes), list(sizes), "new", "old")

    assert better.difference == pytest.approx(0.05, abs=0.02)
    assert better.p_genes < 1e-3
    assert 0.05 < same.p_genes <= 1


def test_a_method_does_not_differ_from_itself():
    sizes = {"A": 20, "B": 30}
    pair = compare_methods(scores(0.1, sizes), list(sizes), "new", "new")

    assert (pair.difference, pair.low, pair.high) == (0, 0, 0)
    assert pair.p_genes == pair.p_sections == 1
