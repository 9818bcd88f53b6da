"""Paired tests: is one method better than another on the same sections and genes?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from histoscribe.benchmark.predictor.scores import Scores

_DRAWS = 2000
_EXACT = 14


@dataclass(frozen=True)
class Pair:
    """A comparison of two methods.

    Parameters
    ----------
    method, other : str
    measure : str
    difference : float
        Mean over sections of `method` minus `other`.
    low, high : float
        95 % interval: sections are drawn with replacement, then genes within each.
    p_sections : float
        Two-sided sign-flip test over sections, exact up to 14: with 5 sections it cannot fall below 0.0625.
    p_genes : float
        Two-sided Wilcoxon signed-rank test over the genes of all sections, whose panels may differ from fold
        to fold; neither genes nor sections are independent there, so it flatters.
    """

    method: str
    other: str
    measure: str
    difference: float
    low: float
    high: float
    p_sections: float
    p_genes: float


def compare_methods(
    scores: Mapping[tuple[str, str], Scores],
    sections: Sequence[str],
    method: str,
    other: str,
    measure: str = "pearson",
) -> Pair:
    """Compare two methods on the sections that both predicted.

    Parameters
    ----------
    scores : mapping
        By (method, section).
    sections : sequence of str
    method, other, measure : str
    """
    differences = [scores[method, name][measure] - scores[other, name][measure] for name in sections]
    means = np.array([values.mean() for values in differences])
    rng = np.random.default_rng(0)
    drawn = np.empty(_DRAWS)
    for draw in range(_DRAWS):
        chosen = rng.integers(0, len(differences), len(differences))
        drawn[draw] = np.mean(
            [
                differences[place][rng.integers(0, differences[place].size, differences[place].size)].mean()
                for place in chosen
            ]
        )
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Pair(
        method,
        other,
        measure,
        float(means.mean()),
        float(low),
        float(high),
        sign_flip(means),
        _wilcoxon(differences),
    )


def sign_flip(values: np.ndarray) -> float:
    """Two-sided p of the mean under random signs: all of them up to 14 values, else 20,000 draws."""
    seen = abs(values.mean())
    if len(values) <= _EXACT:
        signs = np.array(list(product((-1.0, 1.0), repeat=len(values))))
    else:
        signs = np.random.default_rng(0).choice((-1.0, 1.0), size=(20_000, len(values)))
    return float(np.mean(np.abs((signs * values).mean(axis=1)) >= seen - 1e-12))


def _wilcoxon(differences: Sequence[np.ndarray]) -> float:
    from scipy.stats import wilcoxon

    every = np.concatenate(differences)
    return float(wilcoxon(every).pvalue) if np.any(every != 0) else 1.0
