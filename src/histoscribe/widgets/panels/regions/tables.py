"""The two tables of regions: their classes, and each region by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from napari.layers import Shapes
from qtpy.QtCore import QObject, Signal

from histoscribe.tiles import Region, is_locked, with_lock
from histoscribe.widgets.layers.regions import (
    CLASS,
    LABEL,
    OTHER,
    Colour,
    closed_shapes,
    colour_of,
    history_of,
    is_hidden,
    paint_shapes,
    say_of,
    words_in,
)
from histoscribe.widgets.parts.tables import Column, TableModel, table_view


class ClassTable(QObject):
    """Classes to draw with: which one is `chosen`, and names before and after one is `renamed` in place."""

    chosen = Signal(str)
    renamed = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self.colours: dict[str, Colour] = {}
        self._drawn: Sequence[str] = ()
        self._counts: Mapping[str, tuple[int, float]] = {}
        self._filling = False
        columns = (
            Column("class", str, colour=lambda name: self.colours[name], edit=self._rename, left=True),
            Column("regions", lambda name: str(self._drawn.count(name))),
            Column("spots", lambda name: f"{self._counts.get(name, (0, 0.0))[0]:,}"),
            Column("mm²", lambda name: f"{self._counts.get(name, (0, 0.0))[1]:.2f}".replace("nan", "–")),
        )
        self.model = TableModel(columns)
        meaning = "Double-click a name to change it; what is drawn next gets the marked class"
        self.view = table_view(self.model, meaning, self._on_marked)
        self.view.setMaximumHeight(140)

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
        self._drawn, self._counts = drawn, counts
        self._refill()

    def _refill(self) -> None:
        marked, self._filling = self.view.currentIndex().row(), True
        self.model.show_rows(list(self.colours))
        self.view.setCurrentIndex(self.model.index(marked))
        self._filling = False

    def _rename(self, before: str, words: str) -> None:
        """A name was edited; an empty one or another class's is not taken."""
        after = words.strip()
        if after and after not in self.colours:
            self.colours = {after if name == before else name: own for name, own in self.colours.items()}
            self._refill()
            self.renamed.emit(before, after)

    def _on_marked(self, name: str) -> None:
        if not self._filling:
            self.chosen.emit(name)


class RegionList(QObject):
    """One row a closed shape; what is done to the marked one can be undone."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._layer: Shapes | None = None
        self._areas: dict[int, float] = {}
        self._words: dict[str, list[str]] = {}
        meaning = "Its class, and whether it is locked or hidden"
        columns = (
            Column("name", self._name, edit=self._rename, colour=self._colour, left=True),
            Column("class", self._class, meaning, left=True),
            Column("mm²", lambda row: f"{self._areas[row]:.3f}", key=lambda row: self._areas[row]),
        )
        self.model = TableModel(columns)
        meaning = "Double-click a name to change it; what is marked here is selected"
        self.view = table_view(self.model, meaning)
        self.model.modelReset.connect(self._make_room)
        self.view.selectionModel().currentChanged.connect(self._select)

    @property
    def marked(self) -> int | None:
        """The place of the marked shape in its layer; None without one."""
        row = self.view.currentIndex().row()
        return self.model.rows[row] if 0 <= row < len(self.model.rows) else None

    def show_regions(self, layer: Shapes | None, regions: Sequence[Region], mpp: float | None) -> None:
        """Show the closed shapes of a layer, which `regions` are in the same order."""
        rows, marked = [] if layer is None else closed_shapes(layer), self.view.currentIndex().row()
        share = (mpp or float("nan")) / 1000
        self._layer = layer
        self._words = {name: words_in(layer, name) for name in (LABEL, CLASS, OTHER) if layer is not None}
        self._areas = {row: one.area * share**2 for row, one in zip(rows, regions, strict=True)}
        self.model.show_rows(rows)
        self.view.setCurrentIndex(self.model.index(marked))

    def hide(self) -> None:
        """Hide the marked region, or show it again."""

        def act(layer: Shapes, row: int) -> None:
            paint_shapes(layer, [row], colour_of(layer, row), hidden=not is_hidden(layer, row))

        self._do(act)

    def lock(self) -> None:
        """Lock the marked region, or unlock it; QuPath keeps that."""

        def act(layer: Shapes, row: int) -> None:
            said = self._words[OTHER][row]
            say_of(layer, [row], OTHER, with_lock(said, not is_locked(said)))

        self._do(act)

    def recolour(self, colour: Colour) -> None:
        """Give the marked region a colour of its own."""
        self._do(lambda layer, row: paint_shapes(layer, [row], colour))

    def delete(self) -> None:
        """Take the marked region away; a locked one stays."""
        if self._layer is not None and self.marked is not None:
            place = self.view.currentIndex().row()
            self._layer.remove([self.marked])
            self.changed.emit()
            self.view.setCurrentIndex(self.model.index(min(place, self.model.rowCount() - 1)))

    def _do(self, act: Callable[[Any, int], None]) -> None:
        if self._layer is not None and self.marked is not None:
            with history_of(self._layer).step():
                act(self._layer, self.marked)
            self.changed.emit()

    def _rename(self, row: int, words: str) -> None:
        self._do(lambda layer, _: say_of(layer, [row], LABEL, words.strip()))

    def _select(self, *_: object) -> None:
        if self._layer is not None and self.marked is not None:
            self._layer.selected_data = {self.marked}

    def _name(self, row: int) -> str:
        return self._words[LABEL][row]

    def _colour(self, row: int) -> Colour:
        return (0, 0, 0) if self._layer is None else colour_of(self._layer, row)

    def _class(self, row: int) -> str:
        hidden = self._layer is not None and is_hidden(self._layer, row)
        locked = is_locked(self._words[OTHER][row])
        signs = [word for word, on in (("locked", locked), ("hidden", hidden)) if on]
        return ", ".join([self._words[CLASS][row] or "–", *signs])

    def _make_room(self) -> None:
        for column, wide in enumerate((72, 108)):
            self.view.setColumnWidth(column, wide)
