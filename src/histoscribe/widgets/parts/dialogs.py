"""Asking where to read and write, telling what went wrong there, and asking before unsaved work is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakSet

from napari.components import ViewerModel
from pandas import DataFrame
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QFileDialog, QMainWindow, QMessageBox, QWidget

from histoscribe.files import replacing
from histoscribe.widgets.jobs.tasks import tell
from histoscribe.widgets.layers.keeping import EDITED
from histoscribe.widgets.napari_private.probe import reach
from histoscribe.widgets.state.state import open_panel


def path_to_read(parent: QWidget | None, title: str, kinds: str) -> Path | None:
    """Ask for a file of some `kinds`, such as `"CSV (*.csv)"`; None where nobody chose one."""
    chosen, _ = QFileDialog.getOpenFileName(parent, title, "", kinds)
    return Path(chosen) if chosen else None


def path_to_write(parent: QWidget | None, title: str, name: str, kinds: str) -> Path | None:
    """Ask where to write; the ending follows the chosen kind where none was typed."""
    chosen, kind = QFileDialog.getSaveFileName(parent, title, name, kinds)
    if not chosen:
        return None
    path = Path(chosen)
    ending = kind.partition("*")[2].split()[0].rstrip(")") if "*" in kind else ""
    return path if path.suffix else path.with_name(path.name + ending)


def save(
    parent: QWidget, title: str, name: str, kinds: str, path: Path | None, write: Callable[[Path], object]
) -> Path | None:
    """Write where it is said, asked where no path is given; the path, or None where nothing was written."""
    path = path or path_to_write(parent, title, name, kinds)
    with telling():
        if path is not None:
            write(path)
            return path
    return None


def write_csv(
    parent: QWidget, title: str, name: str, frame: DataFrame, path: Path | None, **how: Any
) -> Path | None:
    """Write a data frame as CSV and give its path; asks where to if none is given."""

    def write(place: Path) -> None:
        with replacing(place) as fresh:
            frame.to_csv(fresh, **how)

    return save(parent, title, name, "CSV (*.csv)", path, write)


@contextmanager
def telling() -> Iterator[None]:
    """Show an error as a notification instead of raising it."""
    try:
        yield
    except Exception as error:
        tell(error)


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
        words = f"Not saved: {', '.join(unsaved)}. A session, in the Export panel, keeps them all."
        stay, leave = QMessageBox.StandardButton.Save, QMessageBox.StandardButton.Discard
        title = "Close without saving?"
        if not unsaved or QMessageBox.question(None, title, words, stay | leave) != stay:
            return False
        event.ignore()
        open_panel(self._viewer, "Export")
        return True


def ask_before_closing(viewer: ViewerModel) -> None:
    """Name what is not saved when the viewer's window is to close; again does no harm."""
    main = reach(viewer, "window._qt_window")
    if isinstance(main, QMainWindow) and main not in _asked:
        _asked.add(main)
        _Closing(viewer, main)
