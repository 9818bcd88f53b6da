"""Asking where to read and write, and telling what went wrong there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog, QWidget

from histoscribe.files import replacing
from histoscribe.widgets.jobs.tasks import tell

if TYPE_CHECKING:
    from pandas import DataFrame


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
