"""napari with slides and sections in it: what `histoscribe view` opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import napari
from napari.components import ViewerModel

from histoscribe.formats import kind_of as kind_of_path
from histoscribe.progress import Progress
from histoscribe.section import Section
from histoscribe.slide import Slide
from histoscribe.widgets.contributions.readers import opened as opened_from, region_layer, settle
from histoscribe.widgets.layers.layers import add_layer, is_same, kind_of, slide_layer
from histoscribe.widgets.layers.opened import section_layers
from histoscribe.widgets.layers.painting import suggested_gene
from histoscribe.widgets.napari_private.probe import PLUGIN
from histoscribe.widgets.session.session import restore
from histoscribe.widgets.session.sources import Reopened, reopen
from histoscribe.widgets.state.state import open_panel, state_of

__all__ = ["PLUGIN", "show", "view"]

Openable = str | Path | Slide


def view(paths: Sequence[Openable | Section], *, block: bool = True) -> napari.Viewer:
    """Open napari with slides, sections and predictions, one gene painted; stay till it is closed if `block`.

    Paths are opened first, a cohort CSV as all its sections, a session with all it kept. Measured and
    predicted of one name lie side by side. Raises `HistoscribeError`, before any window, if something cannot
    be opened.
    """
    opened: list[Section | Slide] = []
    kept: list[Reopened] = []
    drawn: list[Path] = []
    for one in paths:
        if not isinstance(one, str | Path):
            opened.append(one)
        elif kind_of_path(one) == "session":
            kept.append(reopen(Path(one), Progress()))
        elif kind_of_path(one) == "regions":
            drawn.append(Path(one))
        else:
            opened += opened_from(one)
    viewer = napari.Viewer(title="Histoscribe")
    if opened:
        show(viewer, opened)
    for session in kept:
        restore(viewer, session)
    for path in drawn:
        add_layer(viewer, region_layer(path, viewer))
    if not any(session.content.panels for session in kept):
        open_panel(viewer, "Predict")
        open_panel(viewer, "Genes")
    if block:
        napari.run()
    return viewer


def show(viewer: ViewerModel, opened: Sequence[Section | Slide]) -> None:
    """Add slides and sections to a viewer and paint the gene that tells most."""
    slides = [one for one in opened if isinstance(one, Slide)]
    sections = [one for one in opened if not isinstance(one, Slide)]
    lent = {slide.name: slide for slide in slides if slide.mpp is not None}
    lent |= {one.name: one.slide for one in sections if one.slide is not None and kind_of(one) == "measured"}
    # predictions without H&E lie on the slide of the measured section, or the slide, of the same name
    sections = [
        one if one.slide is not None or one.name not in lent else replace(one, slide=lent[one.name])
        for one in sections
    ]
    for slide in slides:
        if not any(is_same(one.slide, slide) for one in sections):
            add_layer(viewer, slide_layer(slide))
    for section in sections:
        for data in section_layers(section, viewer.layers):
            add_layer(viewer, data)
    state_of(viewer).gene = suggested_gene(sections) if sections else state_of(viewer).gene
    settle(viewer)
