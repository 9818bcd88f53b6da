"""The Export panel: the view as a picture, tables, a report, and the session that brings everything back."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from magicgui.widgets import CheckBox, ComboBox, Container, PushButton, SpinBox
from napari.utils.notifications import show_info, show_warning
from qtpy.QtWidgets import QFileDialog, QGroupBox, QVBoxLayout, QWidget

from histoscribe.errors import SettingError
from histoscribe.widgets.jobs.tasks import TaskBar, tell
from histoscribe.widgets.layers.layers import DERIVED, section_of
from histoscribe.widgets.napari_private.window import unwrapped
from histoscribe.widgets.panels.export.picture import picture_of, save_picture
from histoscribe.widgets.panels.export.report import material_of, write_report
from histoscribe.widgets.panels.export.tables import save_table
from histoscribe.widgets.parts.shortcuts import install_shortcuts
from histoscribe.widgets.session.file import SUFFIX
from histoscribe.widgets.session.session import capture, restore
from histoscribe.widgets.session.sources import reopen, write_session
from histoscribe.widgets.state.state import state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from napari.layers import Layer


class ExportPanel(QWidget):
    """Writes what the viewer holds, and brings a session back.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = unwrapped(napari_viewer)
        self._state = state_of(self._viewer)
        meaning = "Fineness of the pixels in the picture; the screen has about 100"
        self.dpi = SpinBox(label="Dots per inch", value=300, min=72, max=1200, tooltip=meaning)
        self.picture_button = _button(
            "Save the picture…",
            "What is on screen as PNG, SVG or PDF, with scale bar and colour bars",
            self.save_picture,
        )
        self.layer = ComboBox(label="Layer", choices=self._tables)
        meaning = "For CSV; an h5ad always holds all genes. Large tables take long."
        self.every_gene = CheckBox(text="All genes, not only those shown", tooltip=meaning)
        self.table_button = _button(
            "Save the table…",
            "CSV: log1p of counts per 10,000, as painted; h5ad: the whole section, counts as they are",
            self.save_table,
        )
        self.report_button = _button(
            "Save a report…",
            "One HTML page of slides, models, genes and regions; it opens without network",
            self.save_report,
        )
        self.save_button = _button(
            "Save the session…",
            "Layers, genes, colours, regions, camera and panels; predictions go into a folder beside",
            self.save_session,
        )
        self.open_button = _button(
            "Open a session…", "Adds the layers of a saved session to those of now", self.open_session
        )
        self.tasks = TaskBar()
        layout = QVBoxLayout(self)
        for title, parts in (
            ("Picture", [self.dpi, self.picture_button]),
            ("Table", [self.layer, self.every_gene, self.table_button]),
            ("Report", [self.report_button]),
            ("Session", [self.save_button, self.open_button]),
        ):
            box = QGroupBox(title)
            QVBoxLayout(box).addWidget(Container(widgets=parts).native)
            layout.addWidget(box)
        layout.addWidget(self.tasks)
        layout.addStretch(1)
        self.tasks.running_changed.connect(self._show_what_applies)
        install_shortcuts(self._viewer)
        self._show_what_applies()

    def reset_choices(self, event: object = None) -> None:
        """Offer the layers of now; napari calls it when the layer list changes."""
        self.layer.reset_choices()
        self._show_what_applies()

    def save_picture(self, path: Path | None = None) -> None:
        """Draw the view and write it; asks where to if no path is given."""
        path = path or self._ask("Save the picture", "view.png", "PNG (*.png);;SVG (*.svg);;PDF (*.pdf)")
        if path is None:
            return
        try:
            picture = picture_of(self._viewer, self._state, dpi=self.dpi.value)
        except Exception as error:
            tell(error)
            return
        if picture.left_out:
            show_warning(f"Not drawn, for layers of this kind are not known: {', '.join(picture.left_out)}.")
        self._run(lambda progress: save_picture(picture, path), path)

    def save_table(self, path: Path | None = None) -> None:
        """Write the chosen layer's table; asks where to if no path is given."""
        layer = self.layer.value
        if layer is None:
            tell(SettingError("there is no table to write", remedy="open or predict a section first"))
            return
        path = path or self._ask("Save the table", f"{layer.name}.csv", "CSV (*.csv);;AnnData (*.h5ad)")
        if path is None:
            return
        section = section_of(layer)
        genes = section.genes if self.every_gene.value else self._state.genes
        self._run(partial(save_table, section, path, genes), path)

    def save_report(self, path: Path | None = None) -> None:
        """Write the report of what is open; asks where to if no path is given."""
        path = path or self._ask("Save a report", "report.html", "HTML (*.html)")
        if path is None:
            return
        try:
            material = material_of(self._viewer, self._state)
        except Exception as error:
            tell(error)
            return
        self._run(partial(write_report, material, path), path)

    def save_session(self, path: Path | None = None) -> None:
        """Write the session; asks where to if no path is given."""
        path = path or self._ask("Save the session", f"session{SUFFIX}", f"Session (*{SUFFIX})")
        if path is None:
            return
        captured = capture(self._viewer, self._state)
        if captured.left_out:
            show_warning(f"Not kept, for layers of this kind are not known: {', '.join(captured.left_out)}.")
        self._run(partial(write_session, captured, path), path)

    def open_session(self, path: Path | None = None) -> None:
        """Bring a session back; asks for it if no path is given."""
        if path is None:
            chosen, _ = QFileDialog.getOpenFileName(self, "Open a session", "", f"Session (*{SUFFIX})")
            if not chosen:
                return
            path = Path(chosen)
        self.tasks.run(partial(reopen, path), partial(restore, self._viewer))

    def _run(self, job: Callable[..., object], path: Path) -> None:
        self.tasks.run(job, lambda _: show_info(f"{path} is written."))

    def _ask(self, title: str, name: str, kinds: str) -> Path | None:
        """Where to write; the ending follows the chosen kind where none was typed."""
        chosen, kind = QFileDialog.getSaveFileName(self, title, name, kinds)
        if not chosen:
            return None
        path = Path(chosen)
        ending = kind.partition("*")[2].rstrip(")")
        return path if path.suffix else path.with_name(path.name + ending)

    def _show_what_applies(self, *_: object) -> None:
        anything, free = bool(self._viewer.layers), not self.tasks.running
        for button in (self.picture_button, self.report_button, self.save_button):
            button.enabled = anything and free
        self.table_button.enabled = self.layer.value is not None and free
        self.open_button.enabled = free

    def _tables(self, _: object) -> list[tuple[str, Layer]]:
        layers = reversed(list(self._viewer.layers))
        return [(layer.name, layer) for layer in layers if _has_table(layer)]


def _has_table(layer: Layer) -> bool:
    return section_of(layer) is not None and DERIVED not in layer.metadata


def _button(words: str, meaning: str, act: Callable[[], None]) -> PushButton:
    button = PushButton(text=words, tooltip=meaning)
    button.changed.connect(lambda: act())
    return button
