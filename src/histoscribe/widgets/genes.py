"""The Genes panel: choose a gene as you type; every layer of spots that has it is painted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from qtpy.QtCore import QModelIndex, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QVBoxLayout,
    QWidget,
)

from histoscribe.widgets.arrangement import is_side_by_side, side_by_side
from histoscribe.widgets.choosers import number_box
from histoscribe.widgets.gene_list import GeneListModel
from histoscribe.widgets.layers import section_of
from histoscribe.widgets.painting import held_out_scores, paint, spot_layers
from histoscribe.widgets.state import COLOUR_MAPS, state_of, unwrapped
from histoscribe.widgets.tasks import tell

if TYPE_CHECKING:
    import napari
    from napari.layers import Points


class GenesPanel(QWidget):
    """Chooses the gene, its colours and its limits for one viewer.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = unwrapped(napari_viewer)
        self._state = state_of(self._viewer)
        self._known: list[Points] = []
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search a gene")
        self.search.setClearButtonEnabled(True)
        self.genes = GeneListModel()
        self.list = QListView()
        self.list.setUniformItemSizes(True)
        self.list.setModel(self.genes)
        self.colour_map = QComboBox()
        self.colour_map.addItems(COLOUR_MAPS)
        self.low = number_box(self._state.low, 0, 100, " %")
        self.high = number_box(self._state.high, 0, 100, " %")
        self.shared = QCheckBox("Same limits on all layers")
        self.beside = QCheckBox("Side by side")
        self.legend = QLabel()
        self.legend.setWordWrap(True)
        self._arrange()
        self._show_state()
        self._connect()
        self.reset_choices()

    def reset_choices(self, event: object = None) -> None:
        """Offer the genes of the layers of now; napari calls it when the layer list changes."""
        self.beside.blockSignals(True)
        self.beside.setChecked(is_side_by_side(self._viewer))
        self.beside.blockSignals(False)
        layers = spot_layers(self._viewer)
        if layers == self._known:
            return
        self._known = layers
        self.genes.set_genes(*_genes_and_scores(layers))
        self._mark_gene()
        self.repaint_spots()

    def repaint_spots(self) -> None:
        """Paint the chosen gene with the settings of now."""
        if not self._state.gene:
            self.legend.setText(
                f"{len(self.genes.shown):,} genes" if self._known else "Open a section first."
            )
            return
        try:
            limits = paint(self._viewer, self._state)
        except Exception as error:
            tell(error)
            return
        if not limits:
            self.legend.setText(f"No layer has {self._state.gene}.")
            return
        low, high = next(iter(limits.values()))
        ends = f"{low:.2f} to {high:.2f}" if len(set(limits.values())) == 1 else "own limits on each layer"
        self.legend.setText(f"{self._state.gene}: log1p of counts per 10,000, {ends}")

    def _connect(self) -> None:
        self.search.textChanged.connect(self._on_search)
        self.search.returnPressed.connect(self._choose_first)
        self.list.selectionModel().currentChanged.connect(self._on_row)
        self.colour_map.currentTextChanged.connect(lambda name: setattr(self._state, "colour_map", name))
        self.low.valueChanged.connect(lambda value: setattr(self._state, "low", value))
        self.high.valueChanged.connect(lambda value: setattr(self._state, "high", value))
        self.shared.toggled.connect(lambda on: setattr(self._state, "shared", on))
        self.beside.toggled.connect(lambda on: side_by_side(self._viewer, on))
        self._state.events.connect(self._on_state)

    def _on_search(self, text: str) -> None:
        self.list.selectionModel().blockSignals(True)
        self.genes.search(text)
        self.list.selectionModel().blockSignals(False)

    def _choose_first(self) -> None:
        if self.genes.shown:
            self._state.gene = self.genes.shown[0]

    def _on_row(self, current: QModelIndex, _previous: QModelIndex) -> None:
        gene = current.data(Qt.ItemDataRole.UserRole)
        if gene:
            self._state.gene = gene

    def _on_state(self, *_: object) -> None:
        self._show_state()
        self._mark_gene()
        self.repaint_spots()

    def _show_state(self) -> None:
        self.colour_map.setCurrentText(self._state.colour_map)
        self.low.setValue(self._state.low)
        self.high.setValue(self._state.high)
        self.shared.setChecked(self._state.shared)

    def _mark_gene(self) -> None:
        row = self.genes.row_of(self._state.gene)
        if row.isValid():
            self.list.setCurrentIndex(row)
            self.list.scrollTo(row, QListView.ScrollHint.PositionAtCenter)

    def _arrange(self) -> None:
        limits = QHBoxLayout()
        limits.addWidget(self.low)
        limits.addWidget(QLabel("to"))
        limits.addWidget(self.high)
        form = QFormLayout()
        form.addRow("Colours", self.colour_map)
        form.addRow("Percentiles", limits)
        layout = QVBoxLayout(self)
        layout.addWidget(self.search)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.legend)
        layout.addLayout(form)
        layout.addWidget(self.shared)
        layout.addWidget(self.beside)


def _genes_and_scores(layers: list[Points]) -> tuple[list[str], dict[str, float]]:
    """Genes of all layers, those that most layers have first, and held-out r of predicted ones."""
    sections = [section_of(layer) for layer in layers]
    count = Counter(gene for section in sections for gene in section.genes)
    scores = {gene: r for section in sections for gene, r in held_out_scores(section).items()}
    return sorted(count, key=lambda gene: (-count[gene], gene)), scores
