"""The genes shown together: one chip each in its colour, and whether they are blended or get a pane each."""

from __future__ import annotations

from functools import partial

from qtpy.QtWidgets import QComboBox, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from histoscribe.widgets.layers.colours import BLEND, BLEND_NAMES
from histoscribe.widgets.layers.view_state import LAYOUTS, ViewState

_WORDS = {"blend": "Blend their colours on each spot", "multiples": "One pane for each gene"}


class ShownGenes(QWidget):
    """Chips that remove a gene when pressed, and the choice of layout; hidden while one gene is shown."""

    def __init__(self, state: ViewState) -> None:
        super().__init__()
        self._state = state
        self.chips: list[QToolButton] = []
        self.layout_choice = QComboBox()
        self.layout_choice.addItems([_WORDS[layout] for layout in LAYOUTS])
        self.layout_choice.setToolTip("How several genes are shown at once")
        self.layout_choice.currentIndexChanged.connect(self._on_layout)
        self._row = QHBoxLayout()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._row)
        layout.addWidget(self.layout_choice)
        self.refresh()

    def refresh(self) -> None:
        """Show the genes of now."""
        genes = self._state.genes
        for chip in self.chips:
            self._row.removeWidget(chip)
            chip.hide()
            chip.deleteLater()
        self.chips = [self._chip(place, gene) for place, gene in enumerate(genes)]
        self.layout_choice.blockSignals(True)
        self.layout_choice.setCurrentIndex(LAYOUTS.index(self._state.layout))
        self.layout_choice.blockSignals(False)
        self.setVisible(len(genes) > 1)

    def _chip(self, place: int, gene: str) -> QToolButton:
        chip = QToolButton()
        chip.setText(f"{gene} ✕")
        blend = self._state.layout == "blend"
        chip.setToolTip(
            f"Show {gene} no longer" + (f"; it is drawn in {BLEND_NAMES[place]}" if blend else "")
        )
        if blend:
            red, green, blue = (round(255 * share) for share in BLEND[place])
            chip.setStyleSheet(f"QToolButton {{ border-bottom: 3px solid rgb({red}, {green}, {blue}); }}")
        chip.clicked.connect(partial(self._state.drop, gene))
        self._row.addWidget(chip)
        return chip

    def _on_layout(self, index: int) -> None:
        self._state.layout = LAYOUTS[index]
