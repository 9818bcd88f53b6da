"""The genes shown together: one chip each in its colour; pressed, it shows its gene no longer."""

from __future__ import annotations

from functools import partial

from qtpy.QtWidgets import QHBoxLayout, QToolButton, QWidget

from histoscribe.widgets.layers.colours import BLEND, BLEND_NAMES
from histoscribe.widgets.layers.view_state import ViewState

LAYOUT_WORDS = [("Blend their colours on each spot", "blend"), ("One pane for each gene", "multiples")]
"""How several genes are shown: in words, and as the state calls it."""


class GeneChips(QWidget):
    """Chips that remove a gene when pressed."""

    def __init__(self, state: ViewState) -> None:
        super().__init__()
        self._state = state
        self.chips: list[QToolButton] = []
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)

    def refresh(self) -> None:
        """Show the genes of now."""
        for chip in self.chips:
            self._row.removeWidget(chip)
            chip.hide()
            chip.deleteLater()
        self.chips = [self._chip(place, gene) for place, gene in enumerate(self._state.genes)]

    def _chip(self, place: int, gene: str) -> QToolButton:
        chip = QToolButton()
        chip.setText(f"{gene} ✕")
        meaning = f"Show {gene} no longer"
        if self._state.layout == "blend":
            meaning += f"; it is drawn in {BLEND_NAMES[place]}"
            red, green, blue = (round(255 * share) for share in BLEND[place])
            chip.setStyleSheet(f"QToolButton {{ border-bottom: 3px solid rgb({red}, {green}, {blue}); }}")
        chip.setToolTip(meaning)
        chip.clicked.connect(partial(self._state.drop, gene))
        self._row.addWidget(chip)
        return chip
