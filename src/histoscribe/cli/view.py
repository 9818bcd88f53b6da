"""`histoscribe view`: napari with what is named."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from histoscribe.cli.targets import kind_of


def view(
    paths: Annotated[list[Path], typer.Argument(help="Slides, sections, predicted tables.")],
) -> None:
    """Open napari with slides, sections and predictions."""
    from histoscribe.cli.screen import need_screen

    for path in paths:
        kind_of(path)
    need_screen()
    from histoscribe.widgets.launch import view as launch

    launch(paths)
