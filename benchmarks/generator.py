"""Tables of the generator's benchmark from what `histoscribe benchmark generator --keep` has kept.

    python benchmarks/generator.py KEPT.json... [--json]
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
from typing import Any

from histoscribe.benchmark.generator.components import stable_sets
from histoscribe.benchmark.generator.summary import records_of

ORDER = (
    "histoscribe", "histoscribe-references", "histoscribe-tuned", "conditional-vae", "wgan-gp", "diffusion",
    "linear-mixture", "mixture-shifted", "identity", "real", "real (other half)",
)  # fmt: skip


def merged(paths: list[Path]) -> dict[int, list[dict[str, Any]]]:
    """Scores of all files by seed, each measure of a method once."""
    scored: dict[int, dict[tuple[str, str, str], dict[str, Any]]] = {}
    for path in paths:
        for seed, rows in json.loads(path.read_text(encoding="utf-8"))["scored"].items():
            for row in rows:
                name = row["dataset"], row["method"], row["measure"]
                scored.setdefault(int(seed), {}).setdefault(name, row)
    return {seed: list(rows.values()) for seed, rows in sorted(scored.items())}


def table(records: list[dict[str, Any]], bed: str) -> str:
    """One bed as a Markdown table, measures in rows."""
    means = {
        (record["method"], record["measure"]): record
        for record in records
        if record["dataset"] == bed and record["fold"] == "all"
    }
    methods = sorted({method for method, _ in means}, key=ORDER.index)
    measures = list(dict.fromkeys(measure for _, measure in means))
    lines = [f"| {bed} | {' | '.join(methods)} |", "|---" * (len(methods) + 1) + "|"]
    for measure in measures:
        cells = [_cell(means.get((method, measure))) for method in methods]
        lines.append(f"| {measure.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(record: dict[str, Any] | None) -> str:
    if record is None:
        return "-"
    return f"{record['value']:.4g} ± {record['high'] - record['value']:.2g}"


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
    scored = merged(arguments.kept)
    records = records_of(scored)
    if arguments.json:
        print(json.dumps({"settings": {"seeds": list(scored)}, "records": records}, indent=1))
        return
    print(f"Seeds: {', '.join(map(str, scored))}\n")
    for bed in dict.fromkeys(record["dataset"] for record in records):
        if bed != "components":
            print(table(records, bed), end="\n\n")
    rows = [record for record in records if record["dataset"] == "components"]
    seeds = {record["fold"] for record in rows} - {"all"}
    for name, worst in sorted(stable_sets(rows, len(seeds)).items(), key=lambda item: item[1]):
        print(f"- {name}: adjusted p at most {worst:.1e} at {len(seeds)} seeds")


if __name__ == "__main__":
    main()
