"""Print the imputer's benchmark as Markdown, and measure its speed and memory.

histoscribe benchmark imputer DATA --task random --keep random.jsonl     (and every other task)
python benchmarks/imputer.py tables random.jsonl panels.jsonl ...
python benchmarks/imputer.py speed                   5,000 samples × 2,000 genes
python benchmarks/imputer.py memory SAMPLES GENES    peak of one restoration, half of the genes shown
python benchmarks/imputer.py holes SAMPLES GENES     the same, half of the values shown
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from anndata import AnnData

from histoscribe.benchmark import Ledger, Score, TableLayout
from histoscribe.benchmark.engine import summed_up
from histoscribe.benchmark.tables import as_markdown, tables_of
from histoscribe.imputer import Imputer

_PAIR = ("conditional Gaussian", "histoscribe")


def tables(paths: Sequence[Path]) -> None:
    """One table for each measure: methods in rows, what was hidden in columns, intervals over seeds."""
    records = [record for path in paths for record in Ledger(path).records()]
    seeds = sorted({record.fold for record in records})
    print(f"{', '.join(sorted({record.dataset for record in records}))}; {', '.join(seeds)}\n")
    outcome = {"records": [one.as_json() for one in summed_up(records, "seeds")], "paired": []}
    print(as_markdown(tables_of(outcome, TableLayout())))
    _gains(records)


def _gains(records: Sequence[Score]) -> None:
    """How far below the conditional Gaussian the RMSE lies, seed by seed."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for one in records:
        if one.measure.startswith("RMSE") and one.method in _PAIR:
            found.setdefault(one.measure, {}).setdefault(one.fold, {})[one.method] = one.value
    rows = [
        (measure, [1 - pair[_PAIR[1]] / pair[_PAIR[0]] for pair in seeds.values() if len(pair) == 2])
        for measure, seeds in found.items()
    ]
    for measure, gains in rows:
        if gains:
            print(f"- {measure}: {np.mean(gains):.1%} below ({', '.join(f'{gain:.1%}' for gain in gains)})")


def simulated(samples: int, genes: int, seed: int) -> AnnData:
    """Log-like values with ten factors."""
    loadings = np.random.default_rng(9).normal(size=(10, genes))
    random = np.random.default_rng(seed)
    values = 8 + random.normal(size=(samples, 10)) @ loadings + random.normal(0, 1, (samples, genes))
    table = AnnData(values.astype(np.float32))
    table.var_names = [f"GENE{place}A" for place in range(genes)]
    table.obs_names = [f"s{seed}-{place}" for place in range(samples)]
    return table


def speed() -> None:
    """Restore 5,000 × 2,000 with a third of the genes missing, and with a third of the values missing."""
    imputer = Imputer(steps=0, factors=100).fit(simulated(400, 2000, 0))
    table = simulated(5000, 2000, 1)
    random = np.random.default_rng(0)
    panel = table[:, np.sort(random.choice(2000, 1333, replace=False))].copy()
    holed = table.copy()
    holed.X[random.random(table.shape) < 1 / 3] = np.nan
    for name, some in (("a third of the genes", panel), ("a third of the values", holed)):
        start, used = time.perf_counter(), time.process_time()
        imputer.restore(some)
        wall, processor = time.perf_counter() - start, time.process_time() - used
        print(f"{name} missing: {wall:.1f} s, processor {processor:.1f} s")


def memory(samples: int, genes: int, *, holes: bool = False) -> None:
    """Peak memory of restoring `samples` × `genes` of which half are shown: genes, or values."""
    imputer = Imputer(steps=0, factors=50).fit(simulated(200, genes, 0))
    shown = simulated(samples, genes, 1)
    if holes:
        random = np.random.default_rng(2)
        for row in shown.X:
            row[random.random(genes) < 0.5] = np.nan
    else:
        shown = shown[:, : genes // 2].copy()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    whole = bool(np.isfinite(imputer.restore(shown).layers["restored"]).all())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = time.perf_counter() - start
    print(
        f"{samples:,} × {genes:,}: peak {peak / 1e6:.2f} GB ({before / 1e6:.2f} before), "
        f"all finite: {whole}, {seconds:.1f} s"
    )


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["tables", "speed", "memory", "holes"])
    parser.add_argument("more", nargs="*")
    given = parser.parse_args()
    if given.what == "tables":
        tables([Path(path) for path in given.more])
    elif given.what == "speed":
        speed()
    else:
        memory(*map(int, given.more), holes=given.what == "holes")


if __name__ == "__main__":
    main()
