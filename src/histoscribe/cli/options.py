"""Options that several verbs share, each declared once."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
"""Kept by `running.verb` in `console.call()`."""
InCohort = Annotated[str | None, typer.Option(help="Which section of a cohort CSV.")]
SlideMpp = Annotated[float | None, typer.Option(min=0.01, help="µm per pixel where the slide has none.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Scheduler = Annotated[str | None, typer.Option(help="Address of a Dask scheduler.")]
Store = Annotated[Path | None, typer.Option(help="Keep descriptors in this folder, and reuse them.")]
ModelFolder = Annotated[Path, typer.Option(help="Folder for the model.")]
Licence = Annotated[str, typer.Option(help="Under which terms the model may be used.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same model.")]
ModelName = Annotated[str, typer.Option(help="A model's folder, or the name of a bundled one.")]
Samples = Annotated[Path, typer.Argument(help="CSV, TSV, GCT or h5ad table, a section, or a cohort CSV.")]
SamplesScale = Annotated[
    str | None, typer.Option(help="counts, linear, log2, log1p or standardised; recognised if not given.")
]
Known = Annotated[Path | None, typer.Option(help="What is known of the samples (CSV, TSV).")]
