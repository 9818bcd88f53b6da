"""The Programmes panel: learned programmes found on spots, painted, and their share in each region."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
from pandas import DataFrame
from qtpy.QtCore import QModelIndex

from histoscribe.errors import ModelError
from histoscribe.evaluation.regions import classes_of
from histoscribe.progress import Progress
from histoscribe.section import Section
from histoscribe.tiles import Region
from histoscribe.widgets.jobs.loading import load_libraries
from histoscribe.widgets.layers.colours import spread
from histoscribe.widgets.layers.layers import has_own_spots, known_section
from histoscribe.widgets.layers.maps import Map, show_map
from histoscribe.widgets.layers.regions import is_region_layer, regions_of
from histoscribe.widgets.parts.fields import ChoiceField, LayerField
from histoscribe.widgets.parts.models import ModelField
from histoscribe.widgets.parts.panel import Panel, Words
from histoscribe.widgets.parts.tables import TableModel, table_view
from histoscribe.widgets.state.preferences import remember_model

if TYPE_CHECKING:
    from anndata import AnnData


OWN = "learned from these spots"
_BOUNDS = {"share": "Share", "low": "Share, lower bound (90 %)", "high": "Share, upper bound (90 %)"}


@dataclass(frozen=True, eq=False)
class ProgrammesRequest:
    """Where which programmes are looked for."""

    section: Section
    model: Path | None
    """None: they are learned from the spots."""
    regions: list[Region]


class ProgrammesPanel(Panel):
    """Finds programmes on the spots of a section."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self._found: tuple[Section, AnnData] | None = None
        meaning = "Where programmes are looked for: measured, predicted or restored spots"
        self.spots = self.add(LayerField("spots", self.viewer, has_own_spots, "Spots", meaning))
        self.model = self.add(ModelField("model", "programmes", more=lambda: [OWN], label="Programmes"))
        meaning = "Regions whose shares are given one by one"
        self.drawn = self.add(LayerField("drawn", self.viewer, is_region_layer, "Regions", meaning))
        meaning = "How active each programme is on each spot"
        self.add_run("Find programmes", meaning, ready=lambda: self.spots.value is not None)
        self.words = self.add(Words())
        self.table = TableModel()
        self.view = self.add(table_view(self.table, "A click paints the programme"), stretch=1)
        self.view.setMinimumHeight(90)
        meaning = "What is painted of a programme; the bounds say how sure its share is"
        offer = [(words, layer) for layer, words in _BOUNDS.items()]
        self.shown = self.add(ChoiceField("shown", lambda: offer, "Paint", meaning))
        self.view.selectionModel().currentChanged.connect(self.paint)
        self.shown.changed.connect(lambda: self.paint(self.view.currentIndex()))
        self.finish(stretch=False)

    def start(self) -> None:
        """Find the programmes, and paint the most active one."""
        self.launch(self._request, _find, self._show)

    def paint(self, current: QModelIndex, *_: object) -> None:
        """Paint the programme of a row."""
        if self._found is None or not current.isValid() or self.spots.value is None:
            return
        section, found = self._found
        if known_section(self.spots.value) is section:
            name, layer = self.table.gene_at(current.row()), str(self.shown.value)
            values = np.asarray(found[:, [name]].layers[layer]).ravel()
            unit = "share of all activity" if layer == "share" else _BOUNDS[layer].lower()
            show_map(self.viewer, self.spots.value, Map("programme", name, unit, values, spread(values)))

    def _request(self) -> ProgrammesRequest:
        section, model = known_section(self.spots.value), self.model.folder
        if model is None and self.model.value != OWN:
            remedy = "choose a folder, or let them be learned here"
            raise ModelError("no programmes are chosen", remedy=remedy)
        shapes = self.drawn.value
        drawn = [] if shapes is None or not len(shapes.data) else regions_of(shapes, self.spots.value)
        return ProgrammesRequest(section, model, [one for one in drawn if one.name])

    def _show(self, request: ProgrammesRequest, result: tuple[AnnData, DataFrame]) -> None:
        found, rows = result
        self._found = request.section, found
        if request.model is not None:
            remember_model(request.model)
        known = f"{found.uns['genes_shared']:,} genes of the programmes are known here"
        adapted = ", scaled by the low values and spreads of these spots" if found.uns["adapted"] else ""
        self.words.setText(f"{known}{adapted}.")
        self.table.show_frame(rows)
        self.view.setCurrentIndex(self.table.index(0))


def _find(request: ProgrammesRequest, progress: Progress) -> tuple[AnnData, DataFrame]:
    """Activities on spots, and a row for each programme and region."""
    progress.report("loading libraries")
    load_libraries("sklearn.decomposition", "histoscribe.programmes.programmes", "gseapy", "lifelines")
    from histoscribe.programmes import Programmes
    from histoscribe.programmes.describing import share_by_region

    section = request.section
    if request.model is None:
        learned = Programmes().fit(section, progress=progress)
    else:
        learned = Programmes.load(request.model)
    progress.report("finding programmes")
    found = learned.project(section)
    shares = share_by_region(found, classes_of(section, request.regions)).set_index("programme")
    told = learned.table.drop(columns=["share", "overlap", "p", "hazard_p"], errors="ignore")
    told = told.rename(columns={"low": "hazard low", "high": "hazard high"})
    return found, shares.drop(columns=[] if request.regions else "region").join(told)
