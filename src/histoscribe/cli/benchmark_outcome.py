"""What the three benchmark verbs do with an outcome: report, Markdown, JSON, or tables on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from histoscribe.cli.console import command_line, emit, show, show_rows, words
from histoscribe.cli.targets import output_file

if TYPE_CHECKING:
    from histoscribe.benchmark import TableLayout

Methods = Annotated[str | None, typer.Option(help="Names with commas between; all by default.")]
Keep = Annotated[
    Path | None,
    typer.Option("--ledger", "--keep", help="Scores are kept here; a stopped run goes on from it."),
]
Report = Annotated[Path | None, typer.Option(help="An HTML report.")]
Tables = Annotated[Path | None, typer.Option(help="The scores as Markdown tables.")]


def check_outputs(data: Path, out: Path | None, table: Path | None) -> None:
    """Refuse a report or a table that cannot be written, before anything is computed."""
    for path, ending in ((out, ".html"), (table, ".md")):
        if path is not None:
            output_file(path, ending, inputs=[data])


def finish(
    context: typer.Context,
    outcome: dict[str, Any],
    layout: TableLayout,
    *,
    out: Path | None,
    table: Path | None,
    as_json: bool,
) -> None:
    """Write what was asked for, then print the means, or one JSON object."""
    from histoscribe import __version__
    from histoscribe.benchmark import write_benchmark_report, write_tables

    outcome["settings"] |= {"command": command_line(context), "versions": {"napari-histoscribe": __version__}}
    if out is not None:
        write_benchmark_report(outcome, out, layout)
    if table is not None:
        write_tables(outcome, table, layout)
    if as_json:
        emit(outcome)
        return
    show("Benchmark", outcome["settings"].items())
    rows = [
        (one["dataset"], one["method"], one["measure"], f"{one['value']:.3f}",
         f"{one['low']:.3f} to {one['high']:.3f}")
        for one in outcome["records"]
        if one["fold"] == "all"
    ]  # fmt: skip
    show_rows(("data", "method", "measure", "mean over folds", "95 % interval"), rows)
    if out is not None:
        words.print(f"Report: {out}", markup=False)


def names_in(text: str | None) -> list[str] | None:
    """Names with commas between; None where nothing was given."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
