"""`histoscribe view`: napari with what is named."""

from pathlib import Path
from typing import Annotated

import typer

from histoscribe.cli.screen import need_screen
from histoscribe.cli.targets import open_measured
from histoscribe.formats import kind_of


def view(
    paths: Annotated[
        list[Path], typer.Argument(help="Slides, sections, cohort CSVs, predicted tables, sessions.")
    ],
    section: Annotated[str | None, typer.Option(help="Only this section of a cohort CSV.")] = None,
) -> None:
    """Open napari with slides, sections and predictions; those of one name side by side."""
    kinds = [kind_of(path) for path in paths]
    need_screen()
    from histoscribe.widgets.contributions.launch import view as launch

    chosen = section is not None
    launch(
        [
            open_measured(path, section=section) if chosen and kind == "cohort" else path
            for path, kind in zip(paths, kinds, strict=True)
        ]
    )
