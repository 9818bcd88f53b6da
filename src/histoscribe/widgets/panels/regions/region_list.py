"""The list of regions: name, class, area of each; found, hidden, locked, coloured and deleted one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from histoscribe.tiles import is_locked, with_lock
from histoscribe.widgets.layers.history import history_of
from histoscribe.widgets.layers.regions import (
    CLASS,
    LABEL,
    OTHER,
    closed_shapes,
    colour_of,
    is_hidden,
    paint_shapes,
    say_of,
    words_in,
)  # fmt: skip
from histoscribe.widgets.parts.tables import Column, TableModel, table_view

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Shapes

    from histoscribe.tiles import Region
    from histoscribe.widgets.layers.regions import Colour


class RegionList(QObject):
    """One row a closed shape; what is done to the marked one can be undone."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._layer: Shapes | None = None
        self._areas: dict[int, float] = {}
        self._words: dict[str, list[str]] = {}
        columns = (
            Column("name", self._name, edit=self._rename, colour=self._colour, left=True),
            Column("class", self._class, "Its class, and whether it is locked or hidden", left=True),
            Column("mm²", lambda row: f"{self._areas[row]:.3f}", key=lambda row: self._areas[row]),
        )  # fmt: skip
        self.model = TableModel(columns)
        self.view = table_view(
            self.model, "Double-click a name to change it; what is marked here is selected"
        )
        self.model.modelReset.connect(self._make_room)
        self.view.selectionModel().currentChanged.connect(lambda current, _: self._select(current.row()))

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
        if 0 <= marked < len(rows):
            self.view.setCurrentIndex(self.model.index(marked))

    def hide(self) -> None:
        """Hide the marked region, or show it again."""
        self._do(
            lambda layer, row: paint_shapes(
                layer, [row], colour_of(layer, row), hidden=not is_hidden(layer, row)
            )
        )

    def lock(self) -> None:
        """Lock the marked region, or unlock it; QuPath keeps that."""
        said = self._words.get(OTHER, [])
        self._do(
            lambda layer, row: say_of(layer, [row], OTHER, with_lock(said[row], not is_locked(said[row])))
        )

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

    def _select(self, place: int) -> None:
        if self._layer is not None and 0 <= place < len(self.model.rows):
            self._layer.selected_data = {self.model.rows[place]}

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
