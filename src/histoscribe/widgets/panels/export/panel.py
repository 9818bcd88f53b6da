"""The Export panel: the view as a picture, tables (CSV, h5ad), a report, and the session with everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import napari
from magicgui.widgets import SpinBox
from napari.utils.notifications import show_info, show_warning
from qtpy.QtWidgets import QPushButton

from histoscribe.errors import SettingError
from histoscribe.formats import write
from histoscribe.section import Section
from histoscribe.widgets.jobs.tasks import tell
from histoscribe.widgets.layers.keeping import EDITED
from histoscribe.widgets.layers.layers import has_own_spots, section_of
from histoscribe.widgets.layers.making import written
from histoscribe.widgets.panels.export.picture import Picture, picture_of, save_picture
from histoscribe.widgets.panels.export.report import content_of, write_report
from histoscribe.widgets.panels.export.script import script_of, write_script
from histoscribe.widgets.parts.dialogs import path_to_read, path_to_write
from histoscribe.widgets.parts.fields import LayerField, tick_field
from histoscribe.widgets.parts.panel import Panel, Rule
from histoscribe.widgets.session.file import SUFFIX
from histoscribe.widgets.session.session import capture, restore
from histoscribe.widgets.session.sources import reopen, write_session

_SESSIONS = f"Session (*{SUFFIX})"


class ExportPanel(Panel):
    """Writes what the viewer holds, and brings a session back."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        with self.group("Picture"):
            meaning = "Fineness of the pixels in the picture; the screen has about 100"
            self.dpi = self.add(
                SpinBox(name="dpi", label="Dots per inch", value=300, min=72, max=1200, tooltip=meaning)
            )
            meaning = "What is on screen as PNG, SVG or PDF, with scale bar and colour bars"
            self.picture_button = self._saver("Save the picture…", meaning, self.save_picture)
        with self.group("Table"):
            meaning = "The layer whose table is written"
            self.layer = self.add(LayerField("layer", self.viewer, has_own_spots, "Layer", meaning))
            meaning = "For CSV; an h5ad always holds all genes. Large tables take long."
            self.every_gene = self.add(tick_field("every_gene", "All genes, not only those shown", meaning))
            meaning = "CSV: log1p of counts per 10,000, as painted; h5ad: the whole section with its counts"
            self.table_button = self._saver(
                "Save the table…", meaning, self.save_table, lambda: self.layer.value is not None
            )
        with self.group("Report"):
            meaning = "One HTML page of slides, models, genes and regions; it opens without network"
            self.report_button = self._saver("Save a report…", meaning, self.save_report)
        with self.group("Script"):
            meaning = "What was done here, in Python and as commands: both write the same tables again"
            self.script_button = self._saver("Save a script…", meaning, self.save_script)
        with self.group("Session"):
            meaning = "Layers, genes, regions, camera and panels; predictions go into a folder beside"
            self.save_button = self._saver("Save the session…", meaning, self.save_session)
            meaning = "Adds the layers of a saved session to those of now"
            self.open_button = self._saver("Open a session…", meaning, self.open_session, lambda: True)
        self.add(self.tasks)
        self.finish()

    def save_picture(self, path: Path | None = None) -> None:
        """Draw the view and write it; asks where to if no path is given."""
        path = path or path_to_write(
            self, "Save the picture", "view.png", "PNG (*.png);;SVG (*.svg);;PDF (*.pdf)"
        )
        if path is not None:
            self.launch(self._picture, lambda picture, _: save_picture(picture, path), self._written(path))

    def save_table(self, path: Path | None = None) -> None:
        """Write the chosen layer's table; asks where to if no path is given."""
        layer = self.layer.value
        section = section_of(layer)
        if section is None:
            tell(SettingError("there is no table to write", remedy="open or predict a section first"))
            return
        kinds = "CSV (*.csv);;AnnData (*.h5ad)"
        path = path or path_to_write(self, "Save the table", f"{layer.name}.csv", kinds)
        if path is not None:
            shown = [gene for gene in self.state.genes if gene in section.table.var_names]
            genes = None if self.every_gene.value else shown

            def saved(*_: object) -> None:
                if path.suffix.lower() == ".h5ad":
                    EDITED.discard(layer)
                self._written(path, section, genes)(None, None)

            self.launch(
                lambda: section,
                lambda chosen, progress: write(chosen, path, genes=genes, progress=progress),
                saved,
            )

    def save_report(self, path: Path | None = None) -> None:
        """Write the report of what is open; asks where to if no path is given."""
        path = path or path_to_write(self, "Save a report", "report.html", "HTML (*.html)")
        if path is not None:
            self.launch(
                lambda: content_of(self.viewer, self.state),
                lambda content, progress: write_report(content, path, progress),
                self._written(path),
            )

    def save_script(self, path: Path | None = None) -> None:
        """Write what was done as a script; asks where to if no path is given."""
        path = path or path_to_write(self, "Save a script", "replay.py", "Python (*.py)")
        if path is not None:
            self.launch(
                lambda: script_of(self.viewer, path.stem),
                lambda script, progress: write_script(script, path, progress),
                lambda *_: show_info(f"{path} and {path.stem}.sh are written."),
            )

    def save_session(self, path: Path | None = None) -> None:
        """Write the session; asks where to if no path is given."""
        path = path or path_to_write(self, "Save the session", f"session{SUFFIX}", _SESSIONS)
        if path is None:
            return
        captured = capture(self.viewer, self.state)
        if captured.left_out:
            show_warning(f"Not kept, for layers of this kind are not known: {', '.join(captured.left_out)}.")
        layers = list(self.viewer.layers)

        def saved(*_: object) -> None:
            EDITED.difference_update(layers)
            self._written(path)(None, None)

        self.launch(lambda: captured, lambda _, progress: write_session(captured, path, progress), saved)

    def open_session(self, path: Path | None = None) -> None:
        """Bring a session back; asks for it if no path is given."""
        path = path or path_to_read(self, "Open a session", _SESSIONS)
        if path is not None:
            self.launch(lambda: path, reopen, lambda _, opened: restore(self.viewer, opened))

    def _picture(self) -> Picture:
        picture = picture_of(self.viewer, self.state, dpi=self.dpi.value)
        if picture.left_out:
            show_warning(f"Not drawn, for layers of this kind are not known: {', '.join(picture.left_out)}.")
        return picture

    def _saver(
        self, words: str, meaning: str, act: Callable[[], None], ready: Rule | None = None
    ) -> QPushButton:
        able = ready or (lambda: bool(self.viewer.layers))
        return self.add(self.button(words, meaning, act, enabled=lambda: self.free and able()))

    def _written(
        self, path: Path, of: Section | None = None, genes: Sequence[str] | None = None
    ) -> Callable[[object, object], None]:
        def tell_and_remember(*_: object) -> None:
            written(self.viewer, path, of, genes)
            show_info(f"{path} is written.")

        return tell_and_remember
