"""`histoscribe benchmark`: every method on the same folds, panel and target."""

from __future__ import annotations

import typer

from histoscribe.cli import benchmark_generator, benchmark_imputer, benchmark_predictor
from histoscribe.cli.running import verb

app = typer.Typer(no_args_is_help=True, help="Score every method on the same folds, panel and target.")


@app.callback()
def benchmark() -> None:
    """Score every method on the same folds, panel and target."""


app.command("predictor")(verb(benchmark_predictor.predictor))
app.command("imputer")(verb(benchmark_imputer.imputer))
app.command("generator")(verb(benchmark_generator.generator))
