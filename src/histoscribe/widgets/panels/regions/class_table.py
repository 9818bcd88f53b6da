"""The table of region classes: colour, name, how many regions and spots, and their area."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import QObject, Signal

from histoscribe.widgets.layers.regions import Colour
from histoscribe.widgets.parts.tables import Column, TableModel, table_view

_MEANING = "Double-click a name to change it; what is drawn next gets the marked class"


class ClassTable(QObject):
    """Classes to draw with: which one is `chosen`, and names before and after one is `renamed` in place."""

    chosen = Signal(str)
    renamed = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self.colours: dict[str, Colour] = {}
        self._drawn: list[str] = []
        self._counts: Mapping[str, tuple[int, float]] = {}
        self._filling = False
        columns = (
            Column("class", str, colour=lambda name: self.colours[name], edit=self._rename, left=True),
            Column("regions", lambda name: str(self._drawn.count(name))),
            Column("spots", lambda name: f"{self._counts.get(name, (0, 0.0))[0]:,}"),
            Column("mm²", lambda name: f"{self._counts.get(name, (0, 0.0))[1]:.2f}".replace("nan", "–")),
        )
        self.model = TableModel(columns)
        self.view = table_view(self.model, _MEANING)
        self.view.setMaximumHeight(140)
        self.view.selectionModel().currentChanged.connect(self._on_current)

    @property
    def marked(self) -> str:
        """The class marked now; empty without one."""
        return self.model.gene_at(self.view.currentIndex().row())

    def mark(self, name: str) -> None:
        """Mark a class."""
        self.view.setCurrentIndex(self.model.index(list(self.colours).index(name)))

    def add(self, name: str, colour: Colour) -> None:
        """Add a class and mark it."""
        self.colours[name] = colour
        self._refill()
        self.mark(name)

    def take_back(self, colours: Any, marked: Any) -> None:
        """Add classes of a session file, names with [red, green, blue], and mark one; others are left out."""
        for name, colour in colours.items() if isinstance(colours, dict) else ():
            if name in self.colours or not isinstance(colour, list) or len(colour) != 3:
                continue
            if all(isinstance(part, int) and 0 <= part <= 255 for part in colour):
                self.add(name, (colour[0], colour[1], colour[2]))
        if marked in self.colours:
            self.mark(marked)

    def show_classes(
        self, colours: Mapping[str, Colour], drawn: Sequence[str], counts: Mapping[str, tuple[int, float]]
    ) -> None:
        """Show the classes drawn, one a shape, and those not drawn yet, with spots and mm² by class."""
        self.colours |= colours
        self._drawn, self._counts = list(drawn), counts
        self._refill()

    def _refill(self) -> None:
        marked, self._filling = self.view.currentIndex().row(), True
        self.model.show_rows(list(self.colours))
        if 0 <= marked < len(self.colours):
            self.view.setCurrentIndex(self.model.index(marked))
        self._filling = False

    def _rename(self, before: str, words: str) -> None:
        """A name was edited; an empty one or another class's is not taken."""
        after = words.strip()
        if after and after not in self.colours:
            self.colours = {
                after if name == before else name: colour for name, colour in self.colours.items()
            }
            self._refill()
            self.renamed.emit(before, after)

    def _on_current(self, *_: object) -> None:
        if not self._filling:
            self.chosen.emit(self.marked)
