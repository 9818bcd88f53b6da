"""The Genes panel: choose genes as you type; every layer of spots that has them is painted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QModelIndex, QObject, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from histoscribe.genes.aliases import other_names
from histoscribe.widgets.jobs.tasks import tell
from histoscribe.widgets.layers.arrangement import is_side_by_side, side_by_side
from histoscribe.widgets.layers.layers import section_of
from histoscribe.widgets.layers.painting import paint, spot_layers
from histoscribe.widgets.layers.strips import strips_of
from histoscribe.widgets.layers.view_state import COLOUR_MAPS
from histoscribe.widgets.napari_private.window import unwrapped
from histoscribe.widgets.panels.genes.colour_scale import PercentileHandles
from histoscribe.widgets.panels.genes.shown_genes import ShownGenes
from histoscribe.widgets.parts.gene_list import (
    GENE_ROLE,
    GeneListModel,
    Reliability,
    ReliabilityDelegate,
)
from histoscribe.widgets.parts.plots import Bar
from histoscribe.widgets.parts.shortcuts import install_shortcuts
from histoscribe.widgets.state.state import state_of

if TYPE_CHECKING:
    import napari
    from napari.layers import Points

    from histoscribe.section import Section


class GenesPanel(QWidget):
    """Chooses the genes, their colours and their limits for one viewer.

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
        self._panes: tuple[str, ...] = ()
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search a gene: symbol, other name or Ensembl id")
        self.search.setToolTip("Enter shows the first gene found, Shift+Enter shows it beside the others")
        self.search.setClearButtonEnabled(True)
        self.genes = GeneListModel()
        self.list = QListView()
        self.list.setUniformItemSizes(True)
        self.list.setModel(self.genes)
        self.list.setItemDelegate(ReliabilityDelegate(self.list))
        self.add_button = QPushButton("Show beside")
        self.add_button.setToolTip("Show the marked gene beside the others, up to three at once (+)")
        self.pin_button = QPushButton("★ Pin")
        self.pin_button.setToolTip("Keep the marked gene at the top of the list, or let it go again (P)")
        self.shown = ShownGenes(self._state)
        self.scale = Bar()
        self.percentiles = PercentileHandles()
        self.colour_map = QComboBox()
        self.colour_map.addItems(COLOUR_MAPS)
        self.colour_map.setToolTip("All of these can be read without colour vision")
        self.shared = QCheckBox("Same limits on all layers")
        self.shared.setToolTip(
            "One colour means one value on every layer; off: each layer has its own limits"
        )
        self.beside = QCheckBox("Side by side")
        self.beside.setToolTip("One pane for each layer of spots, moved and zoomed together")
        self.legend = QLabel()
        self.legend.setWordWrap(True)
        self._arrange()
        self._show_state()
        self._connect()
        install_shortcuts(self._viewer)
        self.reset_choices()

    def reset_choices(self, event: object = None) -> None:
        """Offer the genes of the layers of now; napari calls it when the layer list changes."""
        self._show_beside()
        layers = spot_layers(self._viewer)
        if layers == self._known:
            return
        self._known = layers
        sections = [section_of(layer) for layer in layers]
        self.genes.set_genes(
            *_genes_and_scores(sections),
            other_names(section.table.var for section in sections),
            _restored_genes(sections),
        )
        self._mark_gene()
        self.repaint_spots()

    def repaint_spots(self) -> None:
        """Paint the chosen genes with the settings of now."""
        self._show_beside()
        genes = self._state.genes
        self.scale.setVisible(bool(genes))
        if not genes:
            self.legend.setText(
                f"{len(self.genes.shown):,} genes" if self._known else "Open a section first."
            )
            return
        try:
            limits = paint(self._viewer, self._state)
        except Exception as error:
            tell(error)
            return
        self.scale.show_scales(strips_of(self._viewer, self._state, limits))
        lacking = [gene for gene in genes if not any(gene in shown for shown in limits.values())]
        self.legend.setText(f"No layer has {' or '.join(lacking)}." if lacking else "")
        self.legend.setVisible(bool(lacking))

    def _connect(self) -> None:
        self.search.textChanged.connect(self._on_search)
        self.list.selectionModel().currentChanged.connect(self._on_row)
        self.add_button.clicked.connect(self._add_marked)
        self.pin_button.clicked.connect(self._pin_marked)
        self.colour_map.currentTextChanged.connect(lambda name: setattr(self._state, "colour_map", name))
        self.percentiles.changed.connect(self._on_percentiles)
        self.shared.toggled.connect(lambda on: setattr(self._state, "shared", on))
        self.beside.toggled.connect(self._on_beside)
        self._state.events.connect(self._on_state)
        self.search.installEventFilter(self)
        self.list.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keys: Enter, Shift+Enter and Down while searching; + and P in the list."""
        if event.type() != QEvent.Type.KeyPress:
            return False
        if watched is self.search:
            beside = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            enter = self._add_first if beside else self._choose_first
            keys = dict.fromkeys((Qt.Key.Key_Return, Qt.Key.Key_Enter), enter)
            keys[Qt.Key.Key_Down] = self.list.setFocus
        else:
            keys = {Qt.Key.Key_Plus: self._add_marked, Qt.Key.Key_P: self._pin_marked}
        action = keys.get(event.key())
        if action is not None:
            action()
        return action is not None

    def _on_search(self, text: str) -> None:
        self.list.selectionModel().blockSignals(True)
        self.genes.search(text)
        self.list.selectionModel().blockSignals(False)

    def _choose_first(self) -> None:
        if self.genes.shown:
            self._state.choose(self.genes.shown[0])

    def _add_first(self) -> None:
        if self.genes.shown:
            self._state.add(self.genes.shown[0])

    def _marked(self) -> str:
        return self.list.currentIndex().data(GENE_ROLE) or (self.genes.shown or [""])[0]

    def _add_marked(self) -> None:
        """Show the first gene found beside the others while searching, else the marked one."""
        found = self.genes.shown
        gene = found[0] if self.search.text() and found else self._marked()
        if gene:
            self._state.add(gene)

    def _pin_marked(self) -> None:
        if self._marked():
            self._state.pin(self._marked())

    def _on_row(self, current: QModelIndex, _previous: QModelIndex) -> None:
        gene = current.data(GENE_ROLE)
        if gene and gene != self._state.gene:
            self._state.choose(gene)

    def _on_percentiles(self, low: float, high: float) -> None:
        self._state.low, self._state.high = low, high

    def _on_beside(self, on: bool) -> None:
        side_by_side(self._viewer, on, self._panes if on else ())
        self.repaint_spots()

    def _on_state(self, *_: object) -> None:
        panes = self._state.genes[1:] if self._state.layout == "multiples" else ()
        if panes != self._panes:
            turned_on = bool(panes) or (is_side_by_side(self._viewer) and len(self._known) > 1)
            self._panes = panes
            side_by_side(self._viewer, turned_on, panes)
        self._show_state()
        self._mark_gene()
        self.repaint_spots()

    def _show_beside(self) -> None:
        self.beside.blockSignals(True)
        self.beside.setChecked(is_side_by_side(self._viewer))
        self.beside.blockSignals(False)

    def _show_state(self) -> None:
        self.colour_map.setCurrentText(self._state.colour_map)
        self.percentiles.show_values(self._state.low, self._state.high)
        self.shared.setChecked(self._state.shared)
        self.shown.refresh()
        self.genes.set_pinned(self._state.pinned)

    def _mark_gene(self) -> None:
        row = self.genes.row_of(self._state.gene)
        if row.isValid() and row != self.list.currentIndex():
            self.list.setCurrentIndex(row)
            self.list.scrollTo(row, QListView.ScrollHint.PositionAtCenter)

    def _arrange(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.add_button)
        buttons.addWidget(self.pin_button)
        form = QFormLayout()
        form.addRow("Percentiles", self.percentiles)
        form.addRow("Colours", self.colour_map)
        layout = QVBoxLayout(self)
        layout.addWidget(self.search)
        layout.addWidget(self.list, 1)
        layout.addLayout(buttons)
        for widget in (self.shown, self.scale, self.legend):
            layout.addWidget(widget)
        layout.addLayout(form)
        layout.addWidget(self.shared)
        layout.addWidget(self.beside)


def _genes_and_scores(sections: list[Section]) -> tuple[list[str], dict[str, Reliability]]:
    """Genes of all sections, those that most have first, and held-out reliability of predicted ones."""
    count = Counter(gene for section in sections for gene in section.genes)
    scores: dict[str, Reliability] = {}
    for section in sections:
        var = section.table.var
        if "held_out_r" not in var:
            continue
        columns = [name for name in ("held_out_r", "held_out_low", "held_out_high") if name in var]
        known = var[columns].astype(float).dropna(subset=["held_out_r"])
        scores |= {
            str(gene): Reliability(*row) for gene, row in zip(known.index, known.to_numpy(), strict=True)
        }
    return sorted(count, key=lambda gene: (-count[gene], gene)), scores


def _restored_genes(sections: list[Section]) -> set[str]:
    """Genes that were restored by an imputer in some section and that no other one has."""
    restored, others = set(), set()
    for section in sections:
        var = section.table.var
        here = set(var.index[var["restored"] > 0]) if "restored" in var else set()
        restored |= here
        others |= set(section.genes) - here
    return restored - others
