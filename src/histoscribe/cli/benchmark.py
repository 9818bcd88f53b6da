"""`histoscribe benchmark`: every method on the same folds, panel and target."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from histoscribe.cli import benchmark_generator, benchmark_imputer
from histoscribe.cli.console import caution, command_line, emit, show, show_rows
from histoscribe.cli.running import job, verb
from histoscribe.cli.targets import open_cohort

app = typer.Typer(no_args_is_help=True, help="Score every method on the same folds, panel and target.")


@app.callback()
def benchmark() -> None:
    """Score every method on the same folds, panel and target."""


@app.command("predictor")
@verb
def predictor(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="A cohort CSV of measured sections.")],
    split: Annotated[Literal["section", "patient"], typer.Option(help="What is held out.")] = "section",
    methods: Annotated[str | None, typer.Option(help="Names with commas between; all by default.")] = None,
    panel_size: Annotated[int, typer.Option(min=1, help="How many genes, chosen in each fold.")] = 250,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="How many seeds, from 0 on.")] = 1,
    encoder: Annotated[str, typer.Option(help="What describes a tile.")] = "builtin",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Hold out every section or patient once, and score the predictor beside its peers and baselines."""
    from histoscribe import __version__
    from histoscribe.evaluation.benchmark import run_benchmark
    from histoscribe.features import encoder_named
    from histoscribe.predictor import encode_section

    with job() as progress:
        chosen = encoder_named(encoder)
        sections = open_cohort([data], progress=progress)
        encoded = [encode_section(section, chosen, progress=progress) for section in sections]
        names = None if methods is None else [name.strip() for name in methods.split(",") if name.strip()]
        outcome = run_benchmark(
            encoded,
            dataset=data.parent.name if data.stem == "cohort" else data.stem,
            split=split,
            methods=names,
            panel_size=panel_size,
            seeds=range(seeds),
            progress=progress,
        )
    caution(f"{section.name}: {warning}" for section in sections for warning in section.warnings)
    settings = {
        **outcome["settings"],
        "encoder": chosen.name,
        "command": command_line(context),
        "versions": {"napari-histoscribe": __version__},
    }
    if as_json:
        emit({"settings": settings, "records": outcome["records"]})
        return
    show("Benchmark", settings.items())
    means = [record for record in outcome["records"] if record["fold"] == "all"]
    rows = [
        (
            record["method"],
            record["measure"],
            f"{record['value']:.3f}",
            f"{record['low']:.3f} to {record['high']:.3f}",
        )
        for record in means
    ]
    show_rows(("method", "measure", "mean over sections", "95 % interval"), rows)


app.command("imputer")(verb(benchmark_imputer.imputer))
app.command("generator")(verb(benchmark_generator.generator))
