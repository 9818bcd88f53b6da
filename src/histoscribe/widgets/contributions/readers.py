"""Readers: what the table of formats knows is offered to napari, and opened lazily."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from histoscribe.errors import Cancelled, HistoscribeError
from histoscribe.formats import WORDS, UnknownFormat, format_of, kind_of, remote_url

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from histoscribe.progress import Progress
    from histoscribe.section import Section
    from histoscribe.slide import Slide

PathOrPaths = str | Sequence[str]
LayerData = tuple[Any, ...]
Reader = Callable[[PathOrPaths], list[LayerData]]

NOTHING_MORE: list[LayerData] = [(None,)]
"""What napari takes for: read, and no layer to add."""
MOST_SECTIONS = 50
_INSTEAD = {
    "table": "restore its genes in the Impute panel, or generate from it in the Generate panel",
    "model": "choose it in the Predict, Impute or Generate panel",
}


def get_reader(path: PathOrPaths | None = None) -> Reader | None:
    """Offer to open a path that the table of formats knows; None for anything else, stacks of files included.

    What could be several things, or cannot be shown, is offered too: its reader says why. Without a path, as
    the command palette calls it, the user is asked for one.
    """
    if path is None:
        _ask()
        return None
    place = _single(path)
    if place is None or (remote_url(place) and not str(place).rstrip("/").lower().endswith(".zarr")):
        return None
    try:
        kind = kind_of(place)
    except UnknownFormat:
        return None
    except HistoscribeError as error:
        return partial(_refuse, error) if os.path.exists(place) else None
    if kind in _INSTEAD:
        words = f"this is {WORDS[kind]}, which a viewer cannot show by itself"
        return partial(_refuse, HistoscribeError(words, where=place, remedy=_INSTEAD[kind]))
    return read


def read(path: PathOrPaths) -> list[LayerData]:
    """Open one path as napari layer data, lazily; a session comes back in the viewer at hand instead."""
    import napari

    place, viewer = _single(path), napari.current_viewer()
    assert place is not None
    match kind_of(place):
        case "session":
            from histoscribe.progress import Progress
            from histoscribe.widgets.napari_private.window import unwrapped
            from histoscribe.widgets.session.session import restore
            from histoscribe.widgets.session.sources import reopen

            assert viewer is not None
            restore(unwrapped(viewer), reopen(place, Progress()))
            return NOTHING_MORE
        case "regions":
            return [region_layer(place, viewer)]
        case "section" | "cohort" | "slide":
            settle_later()
    from histoscribe.widgets.jobs.tasks import tell
    from histoscribe.widgets.layers.opened import layers_of

    try:
        found = opened(place, waiting=True)
    except Cancelled as error:
        tell(error)
        return NOTHING_MORE
    beside = () if viewer is None else tuple(viewer.layers)
    return [layer for one in found for layer in layers_of(one, beside)]


def opened(place: str | os.PathLike[str], *, waiting: bool = False) -> list[Section | Slide]:
    """Open a slide, a section or all sections of a cohort, Visium HD in the preferred bins.

    If `waiting`, what takes long is opened on another thread. Raises `HistoscribeError` for everything else.
    """
    known = format_of(place)
    if known.kind == "slide":
        from histoscribe.slide import open_slide

        return [open_slide(place)]
    if known.kind not in ("section", "cohort"):
        remedy = "name a slide, a section or a cohort"
        raise HistoscribeError(f"this is {WORDS[known.kind]}", where=place, remedy=remedy)
    path = Path(place)
    slow = known.kind == "cohort" or known.name == "a feature_slice.h5"
    if not (waiting and slow):
        return _sections(path, known.kind == "cohort", None)
    from histoscribe.widgets.jobs.tasks import waited_for

    bins = "" if known.kind == "cohort" else f" in bins of {_bin_um(path):g} µm"
    return waited_for(partial(_sections, path, known.kind == "cohort"), f"Opening {path.name}{bins}")


def _sections(path: Path, cohort: bool, progress: Progress | None) -> list[Section | Slide]:
    from histoscribe.section import open_section, read_cohort, read_cohort_csv

    if cohort:
        if (count := len(read_cohort_csv(path))) > MOST_SECTIONS:
            words = f"this holds {count:,} sections, too many to look at together"
            remedy = "open the files of those that you want, st/ID.h5ad of an archive"
            raise HistoscribeError(words, where=path, remedy=remedy)
        return [*read_cohort(path, progress)]
    if path.is_file() and (bin_um := _bin_um(path)):
        from histoscribe.section import SectionOptions
        from histoscribe.section.readers.feature_slice import open_feature_slice

        return [open_feature_slice(path, SectionOptions(bin_um=bin_um), progress)]
    return [open_section(path, bin_um=_bin_um(path))]


def _bin_um(path: Path) -> float | None:
    """The preferred bin size, where a run has it; a `feature_slice.h5` has all."""
    from histoscribe.section.readers.visium_hd import bin_folders
    from histoscribe.widgets.state.preferences import preferences

    wished = preferences().bin_um
    sizes = {**bin_folders(path), **bin_folders(path / "outs")}
    sliced = path.is_file() and format_of(path).name == "a feature_slice.h5"
    return wished if wished in sizes or sliced else None


def settle_later() -> None:
    """Settle the viewer at hand once napari has added the layers that it is being given."""
    import napari
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    viewer = napari.current_viewer()
    if viewer is not None and QApplication.instance() is not None:
        QTimer.singleShot(0, partial(_settle_with_panels, weakref.ref(viewer)))


def settle(viewer: ViewerModel) -> None:
    """After something was opened: what lies at one place side by side, scale bar, a gene, and the panels."""
    from histoscribe.widgets.layers.arrangement import lay_out, side_by_side
    from histoscribe.widgets.layers.layers import kind_of as kind_of_section
    from histoscribe.widgets.layers.painting import paint, sections_in, spot_layers, suggested_gene
    from histoscribe.widgets.napari_private.window import unwrapped
    from histoscribe.widgets.state.state import state_of

    model = unwrapped(viewer)
    state, sections = state_of(model), sections_in(model)
    model.canvas.overlays.scale_bar.visible = True
    if sections:
        state.gene = state.gene or suggested_gene(sections)
        lay_out(model)
        paint(model, state)
        kinds = {(section.name, kind_of_section(section)) for section in sections}
        if len({name for name, _ in kinds}) < len(kinds):  # measured and predicted of one tissue
            side_by_side(model, True)
        model.layers.selection.active = spot_layers(model)[-1]
    model.fit_to_view()


def _settle_with_panels(there: Callable[[], ViewerModel | None]) -> None:
    from qtpy.QtCore import QTimer

    viewer = there()
    if viewer is None or not viewer.layers:
        return
    settle(viewer)
    QTimer.singleShot(0, partial(_open_panels, there))  # once the gene has been drawn


def _open_panels(there: Callable[[], ViewerModel | None]) -> None:
    from histoscribe.widgets.napari_private.window import panels_of, unwrapped
    from histoscribe.widgets.state.state import open_panel

    viewer = there()
    if viewer is None:
        return
    model = unwrapped(viewer)
    if getattr(model, "window", None) is not None and not panels_of(model):
        with suppress(KeyError):  # where napari does not know the plugin
            for name in ("Predict", "Genes"):
                open_panel(model, name)


def _ask() -> None:
    """Ask for a file and open it in the viewer at hand."""
    import napari

    from histoscribe.widgets.napari_private.probe import PLUGIN
    from histoscribe.widgets.parts.dialogs import path_to_read

    viewer = napari.current_viewer()
    if viewer is not None and (path := path_to_read(None, "Open", "All files (*)")) is not None:
        viewer.open(str(path), plugin=PLUGIN)


def region_layer(path: Path, viewer: ViewerModel | None) -> LayerData:
    """Describe regions on the slide that is open: a file does not say on which one they were drawn.

    Raises `HistoscribeError` if no slide is open, or several that differ in scale or place are.
    """
    from histoscribe.tiles import read_regions
    from histoscribe.widgets.layers.layers import section_of, slide_of, tissue_of, to_pixels
    from histoscribe.widgets.layers.regions import described_regions

    layers = viewer.layers if viewer is not None else ()
    behind = [layer for layer in layers if section_of(layer) or slide_of(layer)]
    places = {tuple(to_pixels(layer).ravel().round(6)): layer for layer in behind}
    if len(places) != 1:
        which = "several slides that differ in scale or place are" if places else "no slide is"
        problem = f"{which} open, and regions do not say which is theirs"
        remedy = "open their slide first, or load them in the Regions panel"
        raise HistoscribeError(problem, where=path, remedy=remedy)
    (beneath,) = places.values()
    return described_regions(
        read_regions(path), tissue_of(beneath).mpp or 1.0, f"{path.stem} regions", beneath
    )


def _refuse(error: HistoscribeError, path: PathOrPaths) -> NoReturn:
    raise error


def _single(path: PathOrPaths) -> Path | None:
    if isinstance(path, str | os.PathLike):
        return Path(path)
    return Path(path[0]) if len(path) == 1 else None
