"""Where a gene comes from: its reaches as layers, the descriptors behind it, the tiles behind a spot."""

from __future__ import annotations

from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Layer, Points
from napari.utils.notifications import show_info

from histoscribe.errors import SectionError
from histoscribe.record import record_of
from histoscribe.widgets.jobs.tasks import quietly
from histoscribe.widgets.layers.layers import section_of
from histoscribe.widgets.layers.maps import Map, show_map
from histoscribe.widgets.layers.painting import rim
from histoscribe.widgets.panels.evidence.explaining import DIFFERENT, UNIT, TraceRequest, check, trace
from histoscribe.widgets.parts.fields import tick_field
from histoscribe.widgets.parts.models import ModelField
from histoscribe.widgets.parts.panel import Panel, wrapped_words
from histoscribe.widgets.parts.tables import Column, TableModel, table_view
from histoscribe.widgets.state.preferences import recent_models, remember_model

if TYPE_CHECKING:
    from histoscribe.progress import Progress
    from histoscribe.widgets.panels.evidence.explaining import Traced

_FOUND = "The one it was made with, where it was used lately", object()
_COLUMNS = (
    Column("Strongest descriptors", lambda row: str(row[0]), key=lambda row: row[0], left=True),
    Column("Mean size", lambda row: f"{row[1]:.3f}", key=lambda row: row[1]),
)
_CHANGED = (
    "The image gives other values today, by {:.2f} on average: the slide or the spots have changed since the "
    "prediction, or another device made it. The maps explain the values of today."
)
_GUIDED = (
    "{:,} measured spots of this slide corrected the prediction: the maps explain what the model says before."
)
_MEANING = (
    "Each map says what raises (red) or lowers (blue) {gene}. "
    "Sizes are means over all spots, in {unit}. Choose a descriptor to see where it counts."
)


class GeneTrace:
    """Traces the gene shown to the image that it was predicted from, in parts and a run of its panel."""

    def __init__(self, panel: Panel) -> None:
        self._panel, self._viewer, self._state = panel, panel.viewer, panel.state
        self._layer: Layer | None = None
        self._row: int | None = None
        self.traced: Traced | None = None
        self.model = panel.add(ModelField("model", "predictor", more=lambda: [_FOUND]))
        meaning = "Which tiles and which descriptors the gene was read from, as layers and a list"
        panel.add_run("", meaning, ready=lambda: self._layer is not None and bool(self._state.gene))
        self.words = panel.add(wrapped_words())
        self.table = TableModel(_COLUMNS)
        self.view = panel.add(table_view(self.table))
        self.view.setMinimumHeight(260)
        self.view.clicked.connect(lambda index: self._on_descriptor(self.table.gene_at(index.row())))
        meaning = "As a layer: what each tile brings to the gene at that spot"
        self.behind = panel.add(
            tick_field("behind", "Click a spot to see the tiles behind it", meaning, value=True)
        )
        for part in (self.words, self.view, self.behind):
            panel.rule(part, visible=lambda: self.traced is not None)
        self._forget_model()

    def set_layer(self, layer: Layer | None) -> None:
        """Trace genes of this layer of predicted spots."""
        if layer is not self._layer:
            self._forget_model()
        self._layer = layer
        if self.traced is not None and self.traced.described.section is not section_of(layer):
            self.traced = None
        self._show_result()

    def refresh(self) -> None:
        """Name the gene that would be traced."""
        gene = self._state.gene
        self._panel.run_button.setText(
            f"Trace {gene} to the image" if gene else "Trace the gene shown to the image"
        )

    def start(self) -> None:
        """Trace the gene shown; its maps become layers."""
        if self._layer is not None:
            here = copy_context()  # a feature store in use here is in use there

            def job(request: TraceRequest, progress: Progress) -> Traced:
                return here.run(trace, request, progress)

            self._panel.launch(self.request, job, partial(self._show_traced, self._layer))

    def request(self) -> TraceRequest:
        """What is asked for as the panel stands; `HistoscribeError` if something is missing."""
        section = section_of(self._layer)
        if section is None:
            raise SectionError("there is no prediction to explain", remedy="predict first")
        described = None if self.traced is None else self.traced.described
        request = TraceRequest(section, self._state.gene, self.model.folder, recent_models(), described)
        check(request)
        return request

    def on_spot(self, layer: Layer, row: int) -> None:
        """Show the tiles behind a spot, where its gene was traced and that is wished."""
        traced = self.traced
        if traced is None or not self.behind.value or traced.described.section is not section_of(layer):
            return
        self._row = row
        quietly(self._panel, partial(traced.behind, row), partial(self._show_behind, traced, row))

    def _show_traced(self, layer: Layer, request: TraceRequest, traced: Traced) -> None:
        if request.model is not None and request.model not in request.candidates:
            remember_model(request.model)
        if layer not in self._viewer.layers:
            show_info("The layer was removed meanwhile; what was traced is discarded.")
            return
        if layer is not self._layer:
            show_info("Another layer was chosen meanwhile; what was traced is discarded.")
            return
        self.traced = traced
        self.model.folder = traced.described.folder
        for one in traced.reaches():
            show_map(self._viewer, layer, one)
        self._show_result()

    def _show_behind(self, traced: Traced, row: int, found: Map) -> None:
        """Show it, unless another spot was clicked or the layer went meanwhile."""
        if traced is not self.traced or row != self._row or self._layer not in self._viewer.layers:
            return
        layer = show_map(self._viewer, self._layer, found)
        if isinstance(layer, Points):
            rim(layer, np.array([row]))
        self._panel.refresh()

    def _on_descriptor(self, name: str) -> None:
        if self.traced is not None and self._layer in self._viewer.layers:
            show_map(self._viewer, self._layer, self.traced.descriptor(name))
            self._panel.refresh()

    def _show_result(self) -> None:
        traced = self.traced
        self.table.show_rows([] if traced is None else traced.found.strongest(traced.described.names))
        if traced is not None:
            off = traced.described.off
            changed = _CHANGED.format(off) if off > DIFFERENT else ""
            if spots := record_of(traced.described.section.table).guide_spots:
                changed = _GUIDED.format(spots)
            self.words.setText(f"{_MEANING.format(gene=traced.found.gene, unit=UNIT)} {changed}".strip())
        self._panel.refresh()

    def _forget_model(self) -> None:
        with self.model.changed.blocked():
            self.model.value = _FOUND[1]
