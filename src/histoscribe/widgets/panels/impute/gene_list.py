"""The list in the Impute panel: missing genes, and those that were checked by hiding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QLabel, QLineEdit, QListView, QVBoxLayout, QWidget

from histoscribe.record import record_of
from histoscribe.widgets.panels.genes.gene_list import (
    GENE_ROLE,
    GeneListModel,
    Reliability,
    ReliabilityDelegate,
)

if TYPE_CHECKING:
    from histoscribe.widgets.panels.impute.imputation import Overview, Restored

_MISSING = "Missing here, can be restored (r: held-out training patients)"
_CHECKED = "Measured here (r: hidden here and restored)"


class MissingGenes(QWidget):
    """Genes with the score that says how far a restored value can be trusted."""

    marked_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._lists: dict[str, dict[str, Reliability]] = {}
        self._names: dict[str, list[str]] = {}
        self.words = QLabel("Check says which genes are missing and how well they can be restored.")
        self.words.setWordWrap(True)
        self.which = QComboBox()
        self.which.addItems([_MISSING, _CHECKED])
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search a gene")
        self.search.setClearButtonEnabled(True)
        self.genes = GeneListModel()
        self.list = QListView()
        self.list.setUniformItemSizes(True)
        self.list.setModel(self.genes)
        self.list.setItemDelegate(ReliabilityDelegate(self.list))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.words, self.which, self.search, self.list):
            layout.addWidget(widget)
        self.which.currentTextChanged.connect(self._refill)
        self.search.textChanged.connect(self.genes.search)
        self.list.selectionModel().currentChanged.connect(lambda *_: self.marked_changed.emit())

    @property
    def marked(self) -> str:
        """The gene that is chosen in the list; empty where none is."""
        return self.list.currentIndex().data(GENE_ROLE) or ""

    def mark(self, gene: str) -> None:
        """Choose a gene of the list."""
        row = self.genes.row_of(gene)
        if row.isValid():
            self.list.setCurrentIndex(row)

    def show_overview(self, overview: Overview) -> None:
        """List what a model can do here."""
        known = {gene: score for gene, score in overview.missing.items() if score is not None}
        order = sorted(overview.checked, key=lambda gene: -overview.checked[gene].r)
        self._lists = {_MISSING: known, _CHECKED: overview.checked}
        self._names = {_MISSING: list(overview.missing), _CHECKED: order}
        self.words.setText(overview.words)
        self._refill()

    def show_restored(self, restored: Restored) -> None:
        """List what was restored, the most reliable first, and mark the first gene."""
        var = restored.table.var
        genes = var[(var["restored"] > 0)].sort_values("held_out_r", ascending=False, na_position="last")
        held = restored.imputer.card.held_out
        self._names[_MISSING] = [str(gene) for gene in genes.index]
        self._lists[_MISSING] = {
            gene: Reliability(**held[gene]) for gene in self._names[_MISSING] if gene in held
        }
        own = record_of(restored.table)
        self.words.setText(
            f"{len(genes):,} genes restored from {own.overlap:,} that are shared with the model. "
            f"Values are {own.target}."
        )
        self.which.setCurrentText(_MISSING)
        self._refill()
        if self._names[_MISSING]:
            self.mark(self._names[_MISSING][0])

    def _refill(self, *_: object) -> None:
        which = self.which.currentText()
        self.genes.set_genes(self._names.get(which, []), self._lists.get(which, {}))
        self.marked_changed.emit()
