"""Components over seeds: which gene sets are significant each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from histoscribe.generator.components import SIGNIFICANT

if TYPE_CHECKING:
    from histoscribe.generator import Generator


def score_components(generator: Generator) -> list[dict[str, Any]]:
    """The components of one generator.

    Returns
    -------
    list of dict
        For each gene set that leads a component the best adjusted p (`measure` is `p SET`), and
        `significant_components`, how many components have a set below .05.
    """
    table = generator.components()
    best = table.groupby("gene_set")["adjusted"].min()
    rows = [{"method": "histoscribe", "measure": f"p {name}", "value": float(p)} for name, p in best.items()]
    count = int(table[table["adjusted"] < SIGNIFICANT]["component"].nunique())
    return [*rows, {"method": "histoscribe", "measure": "significant_components", "value": count}]


def stable_sets(records: list[dict[str, Any]], seeds: int) -> dict[str, float]:
    """Gene sets that lead a significant component at every seed, with their worst adjusted p.

    Parameters
    ----------
    records : list of dict
        Of a benchmark.
    seeds : int
        How many there were.
    """
    found: dict[str, list[float]] = {}
    for record in records:
        if record["fold"] != "all" and record["measure"].startswith("p "):
            found.setdefault(record["measure"].removeprefix("p "), []).append(record["value"])
    return {
        name: max(values)
        for name, values in found.items()
        if len(values) == seeds and max(values) < SIGNIFICANT
    }
