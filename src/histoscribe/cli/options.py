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
Adapt = Annotated[
    bool | None, typer.Option("--adapt/--no-adapt", help="Standardise by the table's own means.")
]
Patient = Annotated[
    str | None, typer.Option(help="Column that says whose a sample is: patients are never split.")
]
Only = Annotated[str | None, typer.Option(help="COLUMN=VALUE: samples to look at.")]
GeneSetFiles = Annotated[list[Path] | None, typer.Option(help="GMT file of gene sets (repeatable).")]
Encoder = Annotated[
    str, typer.Option(help="What describes a tile: builtin, texture, both, a fetched one, a folder.")
]
EncoderFolder = Annotated[
    str | None, typer.Option(help="Folder of the model's encoder, where it is not found by name.")
]
GridUm = Annotated[float | None, typer.Option(min=1.0, help="Pitch of a grid of tiles in µm (slides: 55).")]
GRID_UM = 55.0
Known = Annotated[Path | None, typer.Option(help="What is known of the samples (CSV, TSV).")]
