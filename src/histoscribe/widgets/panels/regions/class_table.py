"""The table of region classes: colour, name, how many regions and spots, and their area."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from histoscribe.widgets.layers.regions import Colour

_HEADINGS = ("class", "regions", "spots", "mm²")


class ClassTable(QTableWidget):
    """Classes to draw with; the name is edited in place.

    Signals
    -------
    chosen : str
        The class marked now.
    renamed : str, str
        A class's name before and after.
    """

    chosen = Signal(str)
    renamed = Signal(str, str)

    def __init__(self) -> None:
        super().__init__(0, len(_HEADINGS))
        self.colours: dict[str, Colour] = {}
        self.setHorizontalHeaderLabels(_HEADINGS)
        self.setToolTip("Double-click a name to change it; what is drawn next gets the marked class")
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(24)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.setMaximumHeight(140)
        self.itemChanged.connect(self._on_item)
        self.currentCellChanged.connect(lambda *_: self.chosen.emit(self.marked))

    @property
    def marked(self) -> str:
        """The class marked now; empty without one."""
        names = list(self.colours)
        return names[self.currentRow()] if 0 <= self.currentRow() < len(names) else ""

    def add(self, name: str, colour: Colour) -> None:
        """Add a class and mark it."""
        self.colours[name] = colour
        self._refill([], {})
        self.setCurrentCell(len(self.colours) - 1, 0)

    def take_back(self, colours: Any, marked: Any) -> None:
        """Add classes of a session file, names with [red, green, blue], and mark one; others are left out."""
        for name, colour in colours.items() if isinstance(colours, dict) else ():
            if name in self.colours or not isinstance(colour, list) or len(colour) != 3:
                continue
            if all(isinstance(part, int) and 0 <= part <= 255 for part in colour):
                self.add(name, (colour[0], colour[1], colour[2]))
        if marked in self.colours:
            self.setCurrentCell(list(self.colours).index(marked), 0)

    def show_classes(
        self, colours: Mapping[str, Colour], drawn: Sequence[str], counts: Mapping[str, tuple[int, float]]
    ) -> None:
        """Show the classes drawn, and those added here that are not drawn yet.

        Parameters
        ----------
        colours : mapping of str to colour
            Of the classes that are drawn.
        drawn : sequence of str
            The class of every shape.
        counts : mapping of str to (int, float)
            Spots and mm² by class.
        """
        self.colours |= colours
        self._refill(drawn, counts)

    def _refill(self, drawn: Sequence[str], counts: Mapping[str, tuple[int, float]]) -> None:
        row = self.currentRow()
        self.blockSignals(True)
        self.setRowCount(len(self.colours))
        for place, (name, colour) in enumerate(self.colours.items()):
            swatch = QPixmap(14, 14)
            swatch.fill(QColor(*colour))
            spots, area = counts.get(name, (0, 0.0))
            texts = (name, str(list(drawn).count(name)), f"{spots:,}", f"{area:.2f}")
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                if column == 0:
                    item.setIcon(QIcon(swatch))
                else:
                    item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
                self.setItem(place, column, item)
        if 0 <= row < len(self.colours):
            self.setCurrentCell(row, 0)
        self.blockSignals(False)

    def _on_item(self, item: QTableWidgetItem) -> None:
        """A name was edited; an empty one or another class's is taken back."""
        if item.column() != 0:
            return
        before, after = list(self.colours)[item.row()], item.text().strip()
        if after == before:
            return
        if not after or after in self.colours:
            self.blockSignals(True)
            item.setText(before)
            self.blockSignals(False)
            return
        self.colours = {after if name == before else name: colour for name, colour in self.colours.items()}
        self.renamed.emit(before, after)
