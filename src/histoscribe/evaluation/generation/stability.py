"""Components over seeds: which gene sets are significant each time, and whether loadings match."""

from __future__ import annotations

from typing import Any

import numpy as np

from histoscribe.evaluation.generation.methods import fit_generator
from histoscribe.generator.cohort import Cohort
from histoscribe.generator.components import SIGNIFICANT
from histoscribe.progress import Progress


def score_components(train: Cohort, *, seed: int, progress: Progress | None = None) -> list[dict[str, Any]]:
    """The components of a generator trained on a bed.

    Returns
    -------
    list of dict
        For each gene set the best adjusted p of any component (`measure` is the set's name, `method` is
        `histoscribe`), and `significant_components`, how many have a set below .05.
    """
    generator = fit_generator(train, seed, progress or Progress())
    table = generator.components()
    best = table.groupby("gene_set")["adjusted"].min()
    rows = [{"method": "histoscribe", "measure": str(name), "value": float(p)} for name, p in best.items()]
    count = int(table[table["adjusted"] < SIGNIFICANT]["component"].nunique())
    return [*rows, {"method": "histoscribe", "measure": "significant_components", "value": count}]


def stable_sets(records: list[dict[str, Any]], seeds: int) -> dict[str, float]:
    """Gene sets that are the best of a significant component at every seed, with their worst adjusted p."""
    found: dict[str, list[float]] = {}
    for record in records:
        if record["fold"] != "all" and record["measure"] != "significant_components":
            found.setdefault(record["measure"], []).append(record["value"])
    return {
        name: float(np.max(values))
        for name, values in found.items()
        if len(values) == seeds and max(values) < SIGNIFICANT
    }
