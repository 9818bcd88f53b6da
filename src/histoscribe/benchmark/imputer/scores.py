"""How far restored values are from the truth, and how sure that figure is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from histoscribe.benchmark.imputer.baselines import Restore, Values
from histoscribe.benchmark.imputer.holdout import HeldOut

Figure = tuple[float, float, float]
Row = dict[str, str | float]

_DRAWS = 400
_LEAST = 10
_REACH = 1.6448536


def score(held: HeldOut, restore: Restore, seen: NDArray[np.bool_]) -> dict[str, Figure]:
    """Hide what is not `seen`, restore it, and compare.

    Returns
    -------
    dict
        Each measure with its 95 % bootstrap interval: over held-out samples, for `gene r` over genes.
    """
    guess, spread = restore(np.where(seen & held.known, held.truth, np.nan).astype(np.float32))
    hidden = ~seen & held.known
    missed = np.where(hidden, guess - np.nan_to_num(held.truth), 0.0).astype(np.float64)
    count = hidden.sum(1)
    square, absolute = pooled((missed**2).sum(1), count), pooled(np.abs(missed).sum(1), count)
    found = {
        "RMSE": (square[0] ** 0.5, square[1] ** 0.5, square[2] ** 0.5),
        "MAE": absolute,
        "gene r": _mean(correlations(guess, held.truth, hidden, 0)),
        "sample r": _mean(correlations(guess, held.truth, hidden, 1)),
    }
    if spread is not None:
        inside = hidden & (np.abs(missed) < _REACH * spread)
        found["cover 90"] = pooled(inside.sum(1), count)
    return found


def correlations(guess: Values, truth: Values, counted: NDArray[np.bool_], axis: int) -> NDArray[np.float64]:
    """Pearson r along `axis` over the counted values: 0 for a constant guess, none for fewer than 10."""
    weight = counted / np.maximum(counted.sum(axis, keepdims=True), 1)
    a, b = np.nan_to_num(guess), np.nan_to_num(truth)
    a, b = (part - (part * weight).sum(axis, keepdims=True) for part in (a, b))
    power = np.sqrt((a**2 * weight).sum(axis) * (b**2 * weight).sum(axis))
    together = (a * b * weight).sum(axis)
    r = np.divide(together, power, out=np.zeros_like(power), where=power > 1e-9)
    return np.asarray(r[counted.sum(axis) >= _LEAST], dtype=np.float64)


def pooled(sums: NDArray[np.generic], counts: NDArray[np.generic]) -> Figure:
    """A mean over values pooled from samples (their sums and counts), resampling samples."""
    sums, counts = np.asarray(sums, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    drawn = np.random.default_rng(0).integers(0, len(sums), (_DRAWS, len(sums)))
    low, high = np.quantile(sums[drawn].sum(1) / np.maximum(counts[drawn].sum(1), 1), (0.025, 0.975))
    return float(sums.sum() / max(counts.sum(), 1)), float(low), float(high)


def rows(method: str, dataset: str, split: str, fold: str, figures: dict[str, Figure]) -> list[Row]:
    """Records of one method on one fold."""
    return [
        {"method": method, "dataset": dataset, "split": split, "fold": fold, "measure": measure,
         "value": value, "low": low, "high": high}
        for measure, (value, low, high) in figures.items()
    ]  # fmt: skip


def over_folds(records: Sequence[Row]) -> list[Row]:
    """The mean over folds of each method and measure, with the t interval where there are several."""
    from scipy import stats

    grouped: dict[tuple[str, ...], list[float]] = {}
    for record in records:
        key = tuple(str(record[name]) for name in ("method", "dataset", "split", "measure"))
        grouped.setdefault(key, []).append(float(record["value"]))
    merged: list[Row] = []
    for (method, dataset, split, measure), values in grouped.items():
        mean, half = float(np.mean(values)), float("nan")
        if len(values) > 1:
            half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
        merged.append(
            {"method": method, "dataset": dataset, "split": split, "fold": "all", "measure": measure,
             "value": mean, "low": mean - half, "high": mean + half}
        )  # fmt: skip
    return merged


def _mean(values: NDArray[np.float64]) -> Figure:
    return pooled(values, np.ones(len(values))) if len(values) else (np.nan, np.nan, np.nan)
