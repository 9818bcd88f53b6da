"""Scores of several seeds as a benchmark's records, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

_T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}


def records_of(scored: dict[int, list[dict[str, Any]]], *, split: str = "patient") -> list[dict[str, Any]]:
    """One record for each method, measure and seed, and the mean over seeds as fold `all`.

    Parameters
    ----------
    scored : dict of int to list of dict
        By seed, `dataset`, `method`, `measure` and `value`.

    Returns
    -------
    list of dict
        `low` and `high` of the mean are Student's 95 % interval over seeds; of a single seed, its value.
    """
    by_name: dict[tuple[str, str, str], dict[int, float]] = {}
    for seed, rows in scored.items():
        for row in rows:
            by_name.setdefault((row["dataset"], row["method"], row["measure"]), {})[seed] = float(
                row["value"]
            )
    records = []
    for (dataset, method, measure), values in by_name.items():
        same = {"method": method, "dataset": dataset, "split": split, "measure": measure}
        for seed, value in values.items():
            records.append({**same, "fold": f"seed {seed}", "value": value, "low": value, "high": value})
        found = np.array(list(values.values()))
        width = 0.0
        if len(found) > 1:
            width = _T_95.get(len(found), 1.96) * float(found.std(ddof=1)) / len(found) ** 0.5
        mean = float(found.mean())
        records.append({**same, "fold": "all", "value": mean, "low": mean - width, "high": mean + width})
    return records
