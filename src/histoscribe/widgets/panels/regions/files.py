"""Regions to and from files: QuPath's GeoJSON, and the section's own h5ad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from histoscribe.errors import HistoscribeError
from histoscribe.widgets.jobs.tasks import tell

if TYPE_CHECKING:
    from histoscribe.section import Section
    from histoscribe.tiles import Region

_GEOJSON = "GeoJSON (*.geojson *.json)"


class RegionFiles(QWidget):
    """Three buttons; what they need is given as functions that may raise a HistoscribeError.

    Parameters
    ----------
    section : callable
        Gives the section whose tissue the regions are on.
    regions : callable
        Gives the regions drawn, in full-resolution pixels of that section.
    add : callable
        Receives regions that were read.
    """

    def __init__(
        self,
        section: Callable[[], Section],
        regions: Callable[[], list[Region]],
        add: Callable[[list[Region]], None],
    ) -> None:
        super().__init__()
        self._section, self._regions, self._add = section, regions, add
        self.load_button = QPushButton("Open GeoJSON…")
        self.load_button.setToolTip("Annotations from QuPath, with classes, colours and holes")
        self.save_button = QPushButton("Save GeoJSON…")
        self.save_button.setToolTip("For QuPath, with classes, colours and holes")
        self.keep_button = QPushButton("Keep in section…")
        self.keep_button.setToolTip("Write an h5ad file of the section that brings its regions along")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        actions = (self.load, self.save, self.keep)
        for button, act in zip((self.load_button, self.save_button, self.keep_button), actions, strict=True):
            button.clicked.connect(lambda *_, act=act: act())
            layout.addWidget(button)

    def load(self, path: Path | None = None) -> None:
        """Add the regions of a GeoJSON file; asks which if no path is given."""
        from histoscribe.tiles import read_regions

        path = path or _asked(QFileDialog.getOpenFileName(self, "Open regions", "", _GEOJSON))
        if path is None:
            return
        try:
            self._add(read_regions(path))
        except HistoscribeError as error:
            tell(error)

    def save(self, path: Path | None = None) -> None:
        """Write the regions as GeoJSON; asks where to if no path is given."""
        from histoscribe.tiles import write_regions

        try:
            regions = self._regions()
            name = f"{self._section().name}.geojson"
            path = path or _asked(QFileDialog.getSaveFileName(self, "Save regions", name, _GEOJSON))
            if path is not None:
                write_regions(regions, path)
        except HistoscribeError as error:
            tell(error)

    def keep(self, path: Path | None = None) -> None:
        """Write the section with its regions as h5ad; asks where to if no path is given."""
        from histoscribe.evaluation.regions import keep_regions
        from histoscribe.section import write_section

        try:
            section, regions = self._section(), self._regions()
            name = f"{section.name}.h5ad"
            path = path or _asked(QFileDialog.getSaveFileName(self, "Keep in", name, "h5ad (*.h5ad)"))
            if path is not None:
                keep_regions(section.table, regions)
                write_section(section, path)
                show_info(f"{len(regions)} regions are kept in {path.name}.")
        except HistoscribeError as error:
            tell(error)


def _asked(answer: tuple[str, str]) -> Path | None:
    return Path(answer[0]) if answer[0] else None
