"""`histoscribe view`: napari with what is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from histoscribe.cli.targets import kind_of, open_cohort, open_target

if TYPE_CHECKING:
    from histoscribe.section import Section
    from histoscribe.slide import Slide


def view(
    paths: Annotated[
        list[Path], typer.Argument(help="Slides, sections, cohort CSVs, predicted tables, sessions.")
    ],
    section: Annotated[str | None, typer.Option(help="Only this section of a cohort CSV.")] = None,
) -> None:
    """Open napari with slides, sections and predictions; those of one name side by side."""
    from histoscribe.cli.screen import need_screen
    from histoscribe.widgets.session.file import SUFFIX

    sessions = [path for path in paths if path.name.endswith(SUFFIX)]
    targets = [path for path in paths if path not in sessions]
    for path in targets:
        kind_of(path)
    need_screen()
    opened: list[Section | Slide] = []
    for path in targets:
        if kind_of(path) == "cohort" and section is None:
            opened += open_cohort([path])
        else:
            opened.append(open_target(path, section=section))
    from histoscribe.widgets.contributions.launch import view as launch

    launch([*opened, *sessions])
