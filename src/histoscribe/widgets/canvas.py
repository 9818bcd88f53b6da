"""A viewer's window while layers come and go: what it draws, and which panels hear of it when."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.components import ViewerModel


def canvas_of(viewer: ViewerModel) -> Any:
    """napari's canvas; None without a window, or where another napari keeps it elsewhere.

    It is private to napari, so asked for here alone.
    """
    return getattr(getattr(getattr(viewer, "window", None), "_qt_viewer", None), "canvas", None)


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


@contextmanager
def unheard(viewer: ViewerModel) -> Iterator[list[Any]]:
    """Let no panel hear of layers added meanwhile; yields those whose `reset_choices` is due afterwards."""
    docked = getattr(getattr(viewer, "window", None), "dock_widgets", {}).values()
    panels = [panel for panel in docked if hasattr(panel, "reset_choices")]
    with ExitStack() as stack:
        for panel in panels:
            stack.enter_context(viewer.layers.events.inserted.blocker(panel.reset_choices))
        yield panels
