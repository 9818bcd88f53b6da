"""A viewer's window while layers come and go: what it draws, and which panels hear of it when."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from napari.layers import Layer
from napari.utils.events import Event

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from histoscribe.widgets.layers.layers import LayerData


def canvas_of(viewer: ViewerModel) -> Any:
    """napari's canvas; None without a window, or where another napari keeps it elsewhere."""
    return getattr(_qt_viewer(viewer), "canvas", None)


@contextmanager
def undrawn(viewer: ViewerModel) -> Iterator[None]:
    """Draw nothing meanwhile, where several changes follow each other; once afterwards."""
    widget = getattr(canvas_of(viewer), "native", None)
    if widget is None:
        yield
        return
    widget.setUpdatesEnabled(False)
    try:
        yield
    finally:
        with suppress(RuntimeError):  # the window has been closed meanwhile
            widget.setUpdatesEnabled(True)


def added_in_turns(viewer: ViewerModel, described: LayerData) -> Generator[None, None, Layer]:
    """Add a layer, select it and tell the panels, step by step: the window answers in between.

    `viewer.add_layer` does all of it at once and holds the window up for as long. Here napari's controls of
    the layer are made ahead, while nobody can ask for them yet; it is selected, and each panel hears of it,
    in a turn of its own. Where another napari keeps its controls elsewhere, it makes them at once, as ever.

    Returns
    -------
    Layer
        In the viewer, unless somebody has removed it in between.
    """
    layer = Layer.create(*described)
    yield
    controls = getattr(_qt_viewer(viewer), "controls", None)
    docked = getattr(getattr(viewer, "window", None), "dock_widgets", {})
    panels = [panel for panel in docked.values() if hasattr(panel, "reset_choices")]
    later = [panel.reset_choices for panel in panels]
    if hasattr(controls, "_add"):
        controls._add(Event("inserted", value=layer))
        later.append(controls._add)
        try:
            yield
        except GeneratorExit:  # whoever wanted the layer is gone
            with suppress(RuntimeError):  # and perhaps the window with it
                controls._remove(Event("removed", value=layer))
            raise
    with ExitStack() as stack:
        for callback in later:
            stack.enter_context(viewer.layers.events.inserted.blocker(callback))
        viewer.layers._activate_on_insert = False
        stack.callback(setattr, viewer.layers, "_activate_on_insert", True)
        viewer.add_layer(layer)
    yield
    if layer in viewer.layers:
        viewer.layers.selection.active = layer
    for panel in panels:
        yield
        if panel in docked.values():
            panel.reset_choices()
    return layer


def _qt_viewer(viewer: ViewerModel) -> Any:
    """What holds canvas and controls of a window; private to napari, so asked for here alone."""
    return getattr(getattr(viewer, "window", None), "_qt_viewer", None)
