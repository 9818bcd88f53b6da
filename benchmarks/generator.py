"""Tables of the generator's benchmark from what `histoscribe benchmark generator --keep` has kept.

    python benchmarks/generator.py KEPT.jsonl... [--json]
    python benchmarks/generator.py --speed MODEL

Several files are merged, so that seeds and methods may be run apart. Prints Markdown: mean over seeds, with
Student's 95 % interval, and the gene sets that lead a significant component at every seed. `--speed`
times 1,000 profiles of a saved model, the best of five runs, on torch's default threads.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from histoscribe.benchmark import Ledger, Score, TableLayout
from histoscribe.benchmark.engine import summed_up
from histoscribe.benchmark.generator.benchmark import SIGNIFICANT
from histoscribe.benchmark.tables import as_markdown, tables_of


def merged(paths: list[Path]) -> list[Score]:
    """Records of all files, each measure of a method and seed once."""
    records = [record for path in paths for record in Ledger(path).records()]
    return list({(one.dataset, one.method, one.measure, one.fold): one for one in reversed(records)}.values())


def stable_sets(records: list[Score], seeds: int) -> dict[str, float]:
    """Gene sets that lead a significant component at each of the seeds, with their worst adjusted p."""
    found: dict[str, list[float]] = {}
    for record in records:
        if record.fold != "all" and record.measure.startswith("p "):
            found.setdefault(record.measure.removeprefix("p "), []).append(record.value)
    return {
        name: max(values)
        for name, values in found.items()
        if len(values) == seeds and max(values) < SIGNIFICANT
    }


def speed(folder: Path) -> tuple[float, float]:
    """Fewest seconds of five runs for 1,000 profiles: on the wall, and of processor time."""
    import anndata
    import pandas as pd

    from histoscribe.bulk import BulkTable
    from histoscribe.generator import Generator

    generator = Generator.load(folder)
    mean = generator._fitted()[0].primary_mean[:1].numpy()
    table = anndata.AnnData(mean, obs=pd.DataFrame(index=["mean"]), var=pd.DataFrame(index=generator.genes))
    primary = BulkTable("primary", table, "log2", "symbol")
    wall, used = [], []
    for seed in range(5):
        start, before = time.perf_counter(), time.process_time()
        generator.generate(primary, site=generator.sites[0], samples=1000, seed=seed)
        wall.append(time.perf_counter() - start)
        used.append(time.process_time() - before)
    return min(wall), min(used)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kept", type=Path, nargs="*")
    parser.add_argument("--speed", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.speed:
        wall, used = speed(arguments.speed)
        print(f"1,000 profiles in {wall:.2f} s on the wall, {used:.2f} s of processor time")
    if not arguments.kept:
        return
    records = merged(arguments.kept)
    seeds = sorted({record.fold for record in records})
    outcome = {"records": [one.as_json() for one in summed_up(records, "seeds")], "paired": []}
    if arguments.json:
        print(json.dumps({"settings": {"seeds": seeds}, "records": outcome["records"]}, indent=1))
        return
    print(f"Seeds: {', '.join(seeds)}\n")
    components = [record for record in records if record.dataset == "components"]
    outcome["records"] = [one for one in outcome["records"] if one["dataset"] != "components"]
    print(as_markdown(tables_of(outcome, TableLayout())))
    for name, worst in sorted(stable_sets(components, len(seeds)).items(), key=lambda item: item[1]):
        print(f"- {name}: adjusted p at most {worst:.1e} at {len(seeds)} seeds")


if __name__ == "__main__":
    main()
