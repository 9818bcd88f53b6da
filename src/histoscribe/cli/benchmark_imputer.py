"""`histoscribe benchmark imputer`: hidden values, few genes, survival, spots, beside the baselines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from histoscribe.cli.benchmark_outcome import Keep, Methods, Report, Tables, check_outputs, finish, names_in
from histoscribe.cli.console import caution
from histoscribe.cli.options import AsJson, Known
from histoscribe.cli.running import job
from histoscribe.cli.targets import open_cohort
from histoscribe.errors import require_known

if TYPE_CHECKING:
    from histoscribe.benchmark import Benchmark
    from histoscribe.bulk import BulkTable
    from histoscribe.progress import Progress
    from histoscribe.section import Section

SIMULATED = "simulated"
_TCGA11 = {"table": "bulk/tcga11_tumor_normal.expr.csv.gz", "class_": "cancer,sample_type"}
_KNOWN: dict[str, dict[str, str]] = {
    "random": _TCGA11,
    "low": _TCGA11,
    "panels": _TCGA11,
    "classes": {**_TCGA11, "class_": "cancer", "only": "sample_type=primary_tumor"},
    "survival": {
        "table": "bulk/tcga3_xena_log2tpm.expr.csv.gz", "class_": "cancer",
        "time": "DSS.time", "event": "DSS",
    },
    "spots": {"table": "her2st/cohort.csv"},
}  # fmt: skip


def imputer(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            help="A table, a cohort CSV (spots), the folder of real data, or 'simulated' (spots)."
        ),
    ],
    task: Annotated[str, typer.Option(help="random, low, panels, classes, survival or spots.")] = "random",
    methods: Methods = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="How many seeds.")] = 3,
    first_seed: Annotated[int, typer.Option(min=0, help="The first; defaults were chosen on seed 0.")] = 1,
    genes: Annotated[
        int, typer.Option(min=2, help="So many genes: random ones, for spots the best-measured.")
    ] = 1000,
    samples: Known = None,
    class_: Annotated[str | None, typer.Option("--class", help="Column of the class.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of the time to the event.")] = None,
    event: Annotated[str | None, typer.Option(help="Column that is 1 where the event came.")] = None,
    only: Annotated[str | None, typer.Option(help="COLUMN=VALUE: samples to look at.")] = None,
    section: Annotated[
        str | None, typer.Option(help="Spots: the section to restore (default C3 or the last).")
    ] = None,
    hidden: Annotated[int, typer.Option(min=1, help="Spots: how many genes are hidden.")] = 300,
    model: Annotated[str, typer.Option(help="Spots: the model that is tuned.")] = "imputer-tcga11",
    keep: Keep = None,
    out: Report = None,
    table: Tables = None,
    as_json: AsJson = False,
) -> None:
    """Hide what is known, restore it with the imputer and with its baselines, and score both."""
    from histoscribe.benchmark import run_benchmark
    from histoscribe.benchmark.imputer import TASKS, imputer_benchmark

    require_known("task", [task], TASKS, where="--task")
    check_outputs(Path(data), out, table)
    known = _KNOWN[task] if Path(data).is_dir() else {}
    path = Path(data) / known["table"] if known else Path(data)
    roles = {
        "class": class_ or known.get("class_"),
        "time": time or known.get("time"),
        "event": event or known.get("event"),
    }
    chosen, numbers = names_in(methods) or [], range(first_seed, first_seed + seeds)
    with job() as progress:
        if task == "spots":
            benchmark, warnings = _on_spots(
                data, path, section, genes, hidden, model, chosen, numbers, progress
            )
        else:
            bulk = _table(path, samples, roles, only or known.get("only"))
            some = genes if task in ("random", "low") else None
            benchmark = imputer_benchmark(
                task, bulk, seeds=numbers, methods=chosen, genes=some, progress=progress
            )
            warnings = list(bulk.warnings)
        outcome = run_benchmark(benchmark, ledger=keep, progress=progress)
    caution(warnings)
    finish(context, outcome, benchmark.layout, out=out, table=table, as_json=as_json)


def _table(path: Path, samples: Path | None, roles: dict[str, str | None], only: str | None) -> BulkTable:
    from histoscribe.bulk import read_table
    from histoscribe.bulk.samples import file_beside, with_samples

    bulk = read_table(path)
    given = {role: column for role, column in roles.items() if column}
    return with_samples(bulk, samples or file_beside(path), roles=given, only=only)


def _on_spots(
    data: str,
    path: Path,
    section: str | None,
    genes: int,
    hidden: int,
    model: str,
    methods: list[str],
    seeds: range,
    progress: Progress,
) -> tuple[Benchmark, list[str]]:
    from histoscribe.benchmark.imputer import spots_benchmark
    from histoscribe.imputer import Imputer
    from histoscribe.models import bundled

    sections = _simulated(progress) if data == SIMULATED else open_cohort([path], progress=progress)
    names = [one.name for one in sections]
    test = section or ("C3" if "C3" in names else names[-1])
    require_known("section", [test], names, where="--section")
    if data == SIMULATED:
        genes = len(sections[0].genes)
        hidden = genes // 3

    dataset = (
        f"{SIMULATED if data == SIMULATED else path.parent.name}, {test}, {hidden} of {genes} genes hidden"
    )
    benchmark = spots_benchmark(
        sections, test, dataset=dataset, seeds=seeds, methods=methods, genes=genes, hidden=hidden,
        pretrained=Imputer.load(bundled(model)), progress=progress,
    )  # fmt: skip
    return benchmark, [f"{one.name}: {warning}" for one in sections for warning in one.warnings]


def _simulated(progress: Progress) -> list[Section]:
    from histoscribe.simulate import simulate_section

    return [simulate_section(seed, genes=300, progress=progress) for seed in (1, 2, 3, 4)]
