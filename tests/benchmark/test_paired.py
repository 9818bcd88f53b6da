from __future__ import annotations

import numpy as np
import pytest

from histoscribe.benchmark.engine import compare_methods, sign_flip
from histoscribe.benchmark.ledger import Score


def records(gain: float, sizes: dict[str, int], method: str) -> dict[str, Score]:
    """By section, `each` gene better by `gain` than the method called old."""
    rng = np.random.default_rng(0)
    found = {}
    for name, size in sizes.items():
        base = rng.uniform(0, 0.5, size)
        noise = rng.normal(0, 0.05, size)
        each = base if method == "old" else base + gain + noise
        mean = float(each.mean())
        found[name] = Score(method, "made", "section", name, "pearson", mean, mean, mean, tuple(each))
    return found


@pytest.mark.parametrize("sizes", [{"A": 60, "B": 60}, {"A": 60, "B": 48}])
def test_panels_of_any_length_are_compared(sizes):
    better = compare_methods(records(0.05, sizes, "new"), records(0, sizes, "old"))
    same = compare_methods(records(0.0, sizes, "new"), records(0, sizes, "old"))

    assert (better.method, better.other, better.measure) == ("new", "old", "pearson")
    assert better.difference == pytest.approx(0.05, abs=0.02)
    assert better.p_genes < 1e-3
    assert 0.05 < same.p_genes <= 1


def test_a_method_does_not_differ_from_itself():
    sizes = {"A": 20, "B": 30}
    pair = compare_methods(records(0.1, sizes, "new"), records(0.1, sizes, "new"))

    assert (pair.difference, pair.low, pair.high) == (0, 0, 0)
    assert pair.p_genes == pair.p_sections == 1


def test_folds_of_one_value_are_compared_without_genes():
    ours, others = (
        {
            fold: Score(name, "made", "patient", fold, "RMSE", value, value, value)
            for fold, value in zip("abc", values, strict=True)
        }
        for name, values in (("new", (0.4, 0.5, 0.6)), ("old", (0.5, 0.7, 0.7)))
    )
    pair = compare_methods(ours, others)
    assert pair.difference == pytest.approx(-0.4 / 3)
    assert pair.low <= pair.difference <= pair.high < 0
    assert pair.p_sections == 0.25
    assert pair.p_genes is None


def test_many_folds_are_flipped_at_random():
    rng = np.random.default_rng(1)
    assert sign_flip(rng.normal(0, 1, 20)) > 0.05
    assert sign_flip(rng.normal(2, 1, 20)) < 0.001
