"""What napari draws a viewer on: private to napari, so asked for here alone, and gently."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.components import ViewerModel


def canvas_of(viewer: ViewerModel) -> Any:
    """napari's canvas; None without a window, or where another napari keeps it elsewhere."""
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
        widget.setUpdatesEnabled(True)
