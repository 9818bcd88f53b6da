"""Where a gene comes from: its reaches as layers, the descriptors behind it, the tiles behind a spot."""

from __future__ import annotations

from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING

from napari.layers import Layer, Points
from napari.utils.notifications import show_info
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QFormLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from histoscribe.errors import HistoscribeError
from histoscribe.widgets.jobs.tasks import TaskBar, quietly, tell
from histoscribe.widgets.layers.layers import section_of
from histoscribe.widgets.layers.maps import Map, show_map
from histoscribe.widgets.layers.painting import rim
from histoscribe.widgets.panels.evidence.explaining import TraceRequest, check, trace
from histoscribe.widgets.panels.evidence.traced import DIFFERENT, UNIT
from histoscribe.widgets.parts.choosers import ModelChooser
from histoscribe.widgets.state.recent import recent_models, remember_model
from histoscribe.widgets.state.state import state_of

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from histoscribe.widgets.panels.evidence.traced import Traced

_CHANGED = (
    "The image gives other values today, by {:.2f} on average: the slide or the spots have changed since the "
    "prediction, or another device made it. The maps explain the values of today."
)
_MEANING = (
    "Each map says what raises (red) or lowers (blue) {gene}. "
    "Sizes are means over all spots, in {unit}. Choose a descriptor to see where it counts."
)


class GeneTrace(QWidget):
    """Traces the gene shown to the image that it was predicted from.

    Signals
    -------
    mapped
        A layer was added or changed.

    Parameters
    ----------
    viewer : ViewerModel
    """

    mapped = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer, self._state = viewer, state_of(viewer)
        self._layer: Layer | None = None
        self._row: int | None = None
        self.traced: Traced | None = None
        self.button = QPushButton()
        self.model = ModelChooser()
        self.model.combo.setEditText("")
        self.model.combo.lineEdit().setPlaceholderText("found by itself where it was used lately")
        self.model.setToolTip("The folder of the model that made the prediction")
        self.tasks = TaskBar()
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.behind = QCheckBox("Click a spot to see the tiles behind it")
        self.behind.setToolTip("As a layer: what each tile brings to the gene at that spot")
        self.behind.setChecked(True)
        self.table = QTableWidget(0, 2)
        self._arrange()
        self.button.clicked.connect(self.start)
        self.table.cellClicked.connect(self._on_descriptor)
        self.tasks.running_changed.connect(self._show_what_applies)
        self._state.events.gene.connect(self._show_what_applies)
        self._show_result()

    def set_layer(self, layer: Layer | None) -> None:
        """Trace genes of this layer of predicted spots."""
        if layer is not self._layer:
            self.model.combo.setEditText("")
        self._layer = layer
        if self.traced is not None and (
            layer is None or self.traced.described.section is not section_of(layer)
        ):
            self.traced = None
        self._show_result()

    def start(self) -> None:
        """Trace the gene shown; its maps become layers."""
        layer = self._layer
        if layer is None:
            return
        chosen = self.model.combo.currentText().strip()
        request = TraceRequest(
            section_of(layer),
            self._state.gene,
            self.model.folder if chosen else None,
            recent_models(),
            None if self.traced is None else self.traced.described,
        )
        try:
            check(request)
        except HistoscribeError as error:
            tell(error)
            return
        job = partial(copy_context().run, trace, request)  # a feature store in use here is in use there
        self.tasks.run(job, partial(self._show_traced, request, layer))

    def on_spot(self, layer: Layer, row: int) -> None:
        """Show the tiles behind a spot, where its gene was traced and that is wished."""
        traced = self.traced
        if traced is None or not self.behind.isChecked() or traced.described.section is not section_of(layer):
            return
        self._row = row
        quietly(partial(traced.behind, row), partial(self._show_behind, traced, row))

    def _show_traced(self, request: TraceRequest, layer: Layer, traced: Traced) -> None:
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
        self.mapped.emit()

    def _show_behind(self, traced: Traced, row: int, found: Map) -> None:
        """Show it, unless another spot was clicked or the layer went meanwhile."""
        if traced is not self.traced or row != self._row or self._layer not in self._viewer.layers:
            return
        layer = show_map(self._viewer, self._layer, found)
        if isinstance(layer, Points):
            rim(layer, [row])
        self.mapped.emit()

    def _on_descriptor(self, line: int, _: int) -> None:
        if self.traced is not None and self._layer in self._viewer.layers:
            name = self.table.item(line, 0).text()
            show_map(self._viewer, self._layer, self.traced.descriptor(name))
            self.mapped.emit()

    def _show_result(self) -> None:
        traced = self.traced
        strongest = [] if traced is None else traced.found.strongest(traced.described.names)
        self.table.setRowCount(len(strongest))
        for line, (name, strength) in enumerate(strongest):
            for column, text in enumerate((name, f"{strength:.3f}")):
                item = QTableWidgetItem(text)
                item.setToolTip(name)
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
                self.table.setItem(line, column, item)
        self.table.resizeRowsToContents()
        for widget in (self.table, self.words, self.behind):
            widget.setVisible(traced is not None)
        if traced is not None:
            off = traced.described.off
            changed = _CHANGED.format(off) if off > DIFFERENT else ""
            self.words.setText(f"{_MEANING.format(gene=traced.found.gene, unit=UNIT)} {changed}".strip())
        self._show_what_applies()

    def _show_what_applies(self, *_: object) -> None:
        gene = self._state.gene
        self.button.setText(f"Trace {gene} to the image" if gene else "Trace the gene shown to the image")
        self.button.setEnabled(self._layer is not None and bool(gene) and not self.tasks.running)

    def _arrange(self) -> None:
        self.button.setToolTip(
            "Which tiles and which descriptors the gene was read from, as layers and a list"
        )
        self.table.setHorizontalHeaderLabels(["Strongest descriptors", "Mean size"])
        self.table.verticalHeader().hide()
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.table.horizontalHeader().sectionResized.connect(self.table.resizeRowsToContents)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setMinimumHeight(260)
        form = QFormLayout()
        form.addRow("Model", self.model)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        for widget in (self.button, self.tasks, self.words, self.table, self.behind):
            layout.addWidget(widget)
