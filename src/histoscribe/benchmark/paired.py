"""Paired tests: is one method better than another on the same folds and genes?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from histoscribe.benchmark.ledger import Score

_DRAWS = 2000
_EXACT = 14


@dataclass(frozen=True)
class Pair:
    """A comparison of two methods."""

    method: str
    other: str
    dataset: str
    measure: str
    difference: float
    """Mean over folds (sections or seeds) of `method` minus `other`."""
    low: float
    high: float
    """`low` and `high`: 95 % interval: folds are drawn with replacement, then genes within each where there
    are any."""
    p_sections: float
    """Two-sided sign-flip test over folds, exact up to 14: with 5 sections it cannot fall below 0.0625."""
    p_genes: float | None
    """Two-sided Wilcoxon signed-rank test over the genes of all sections, whose panels may differ from fold
    to fold; neither genes nor sections are independent there, so it flatters. None where a fold is one
    value."""


def compare_methods(ours: Mapping[str, Score], others: Mapping[str, Score]) -> Pair:
    """Compare two methods on one measure, by their scores of the same folds."""
    from scipy.stats import wilcoxon

    differences = [_values(ours[fold]) - _values(others[fold]) for fold in ours]
    means = np.array([values.mean() for values in differences])
    rng = np.random.default_rng(0)
    drawn = np.empty(_DRAWS)
    for draw in range(_DRAWS):
        chosen = [differences[fold] for fold in rng.integers(0, len(differences), len(differences))]
        drawn[draw] = np.mean([one[rng.integers(0, one.size, one.size)].mean() for one in chosen])
    low, high = np.quantile(drawn, [0.025, 0.975])
    one, other = next(iter(ours.values())), next(iter(others.values()))
    every, p_genes = np.concatenate(differences), None
    if any(record.each for record in ours.values()):
        p_genes = float(wilcoxon(every).pvalue) if np.any(every != 0) else 1.0
    return Pair(
        one.method, other.method, one.dataset, one.measure,
        float(means.mean()), float(low), float(high), sign_flip(means), p_genes,
    )  # fmt: skip


def sign_flip(values: NDArray[np.float64]) -> float:
    """Two-sided p of the mean under random signs: all of them up to 14 values, else 20,000 draws."""
    seen = abs(values.mean())
    if len(values) <= _EXACT:
        signs = np.array(list(product((-1.0, 1.0), repeat=len(values))))
    else:
        signs = np.random.default_rng(0).choice((-1.0, 1.0), size=(20_000, len(values)))
    return float(np.mean(np.abs((signs * values).mean(axis=1)) >= seen - 1e-12))


def _values(record: Score) -> NDArray[np.float64]:
    return np.array(record.each or (record.value,), dtype=np.float64)
