"""Before a window closes: results and drawings that nobody saved are named."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMainWindow, QMessageBox

from histoscribe.widgets.layers.keeping import EDITED
from histoscribe.widgets.napari_private.probe import reach
from histoscribe.widgets.state.state import open_panel

if TYPE_CHECKING:
    from napari.components import ViewerModel

_asked: WeakSet[QMainWindow] = WeakSet()


class _Closing(QObject):
    def __init__(self, viewer: ViewerModel, main: QMainWindow) -> None:
        super().__init__(main)
        self._viewer = viewer
        main.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """A window is to close: it stays where the user would rather save."""
        if event is None or event.type() != QEvent.Type.Close:
            return False
        unsaved = [layer.name for layer in self._viewer.layers if layer in EDITED]
        if not unsaved or not save_first(unsaved):
            return False
        event.ignore()
        open_panel(self._viewer, "Export")
        return True


def save_first(unsaved: list[str]) -> bool:
    """Ask whether to stay and save these layers."""
    words = f"Not saved: {', '.join(unsaved)}. A session, in the Export panel, keeps them all."
    yes, no = QMessageBox.StandardButton.Save, QMessageBox.StandardButton.Discard
    return bool(QMessageBox.question(None, "Close without saving?", words, yes | no) == yes)


def ask_before_closing(viewer: ViewerModel) -> None:
    """Name what is not saved when the viewer's window is to close; again does no harm."""
    main = reach(viewer, "window._qt_window")
    if isinstance(main, QMainWindow) and main not in _asked:
        _asked.add(main)
        _Closing(viewer, main)
