"""`histoscribe benchmark generator`: generated beside real metastases, on beds of the real data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from histoscribe.cli.benchmark_outcome import Keep, Report, Tables, check_outputs, finish, names_in
from histoscribe.cli.options import AsJson
from histoscribe.cli.running import job

BEDS = "semi-synthetic,colorectal,components"


def generator(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="The folder of real data.")],
    beds: Annotated[
        str, typer.Option(help="Names with commas between: semi-synthetic, colorectal, components.")
    ] = BEDS,
    methods: Annotated[
        str | None, typer.Option(help="On the semi-synthetic bed, names with commas between; all by default.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="How many seeds.")] = 5,
    first_seed: Annotated[int, typer.Option(min=0, help="The first one.")] = 0,
    per_pair: Annotated[int, typer.Option(min=2, help="Metastases of each cancer at each site.")] = 30,
    keep: Keep = None,
    out: Report = None,
    table: Tables = None,
    as_json: AsJson = False,
) -> None:
    """Generate from patients that no method has seen, and score beside the baselines."""
    from histoscribe.benchmark import run_benchmark
    from histoscribe.benchmark.generator import check_beds, generator_benchmark
    from histoscribe.simulate.metastases import read_tcga11

    check_outputs(data, out, table)
    wanted, chosen = check_beds(names_in(beds) or []), names_in(methods)
    with job() as progress:
        benchmark = generator_benchmark(
            read_tcga11(data), data, beds=wanted, methods=chosen, per_pair=per_pair,
            seeds=range(first_seed, first_seed + seeds), progress=progress,
        )  # fmt: skip
        outcome = run_benchmark(benchmark, ledger=keep, progress=progress)
    finish(context, outcome, benchmark.layout, out=out, table=table, as_json=as_json)
