"""One model for all tables: rows of any kind and columns that say how a row is shown, sorted and edited."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from pandas import DataFrame
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from histoscribe.genes import symbol_of

Index = QModelIndex | QPersistentModelIndex
_BATCH = 500
_ROOT = QModelIndex()
MEANINGS = {
    "area_mm2": "Area of the drawn regions, overlaps counted twice",
    "low": "10th percentile",
    "high": "90th percentile",
    "above zero": "Share of spots with a value above zero",
    "effect": "Difference of the means, in standard deviations within the classes",
    "score": "z of the Wilcoxon rank-sum test, as of the effective number of spots",
    "effective_spots": "As many independent spots would tell as much: neighbours are alike",
    "log2_fold_change": "How much more of it is in the first class, as power of two",
    "p_adjusted": "After Benjamini and Hochberg; ranks genes, and is no evidence about patients",
    "in_first": "Share of spots of the first class above zero",
    "in_second": "Share of the other spots above zero",
    "I": "Moran's I: 1 where neighbouring spots are alike, 0 where not more than any two",
}
HEADINGS = {"area_mm2": "area, mm²", "log2_fold_change": "log2 fold"}
"""What columns of regions, classes and their genes mean, and the headings that say more than their names."""


@dataclass(frozen=True)
class Column:
    """How one column shows a row."""

    heading: str
    text: Callable[[Any], str]
    """From a row to the words of its cell."""
    meaning: str = ""
    """The heading's tooltip."""
    key: Callable[[Any], Any] | None = None
    """From a row to what it is sorted by; without it the column does not sort."""
    colour: Callable[[Any], tuple[int, int, int]] | None = None
    """From a row to (red, green, blue), shown as a square before the words."""
    edit: Callable[[Any, str], object] | None = None
    """Receives a row and the words typed into its cell; without it the cell cannot be edited."""
    left: bool = False
    """Whether words begin at the left, as names do, and not at the right, as numbers."""


class TableModel(QAbstractTableModel):
    """Rows and columns for Qt's views, in batches as the view scrolls: laying out 20,000 rows takes long."""

    def __init__(self, columns: Sequence[Column] = ()) -> None:
        super().__init__()
        self.columns: Sequence[Column] = columns
        self.rows: list[Any] = []
        self._frame: DataFrame | None = None
        self._loaded = 0

    def show_rows(self, rows: Sequence[Any], columns: Sequence[Column] | None = None) -> None:
        """Show these rows, in these columns where they are others than before."""
        self.beginResetModel()
        self.rows = list(rows)
        self.columns = self.columns if columns is None else columns
        self._loaded = min(_BATCH, len(self.rows))
        self.endResetModel()

    def show_frame(
        self, frame: DataFrame | None, words: Mapping[str, str] = {}, meanings: Mapping[str, str] = {}
    ) -> None:
        """Show a data frame indexed by name: `words` are headings that say more than their columns' names.

        `meanings` are the headings' tooltips. Genes of the index are shown by their symbols.
        """
        self._frame = frame
        if frame is None:
            self.show_rows((), ())
            return
        names = [str(name) for name in (frame.index.name, *frame.columns)]
        shown = [symbol_of(str(name)) for name in frame.index]
        values = [shown, *(frame[name].tolist() for name in frame.columns)]
        columns = [
            Column(
                words.get(name, name.replace("_", " ")),
                partial(_cell, column),
                meanings.get(name, ""),
                column.__getitem__,
                left=not place,
            )
            for place, (name, column) in enumerate(zip(names, values, strict=True))
        ]
        self.show_rows(range(len(frame)), columns)

    @property
    def frame(self) -> DataFrame | None:
        """The data frame that is shown, in the order shown; None where there is none."""
        return None if self._frame is None else self._frame.iloc[self.rows]

    def gene_at(self, row: int) -> str:
        """The name of a row: the first column's, of a frame the index's; empty where there is no such row."""
        if not 0 <= row < len(self.rows):
            return ""
        one = self.rows[row]
        return self.columns[0].text(one) if self._frame is None else str(self._frame.index[one])

    def load(self, rows: int) -> None:
        """Hand at least this many rows to Qt, where there are as many."""
        rows = min(rows, len(self.rows))
        if rows > self._loaded:
            self.beginInsertRows(_ROOT, self._loaded, rows - 1)
            self._loaded = rows
            self.endInsertRows()

    def index(self, row: int, column: int = 0, parent: Index = _ROOT) -> QModelIndex:
        """Qt asks for the place of a cell; an invalid one where it is not loaded."""
        return super().index(row, column, parent)

    def rowCount(self, parent: Index = _ROOT) -> int:
        """Qt asks how many rows are loaded."""
        return 0 if parent.isValid() else self._loaded

    def columnCount(self, parent: Index = _ROOT) -> int:
        """Qt asks for the number of columns."""
        return 0 if parent.isValid() else len(self.columns)

    def canFetchMore(self, parent: Index) -> bool:
        """Qt asks whether there are more rows than are loaded."""
        return self._loaded < len(self.rows)

    def fetchMore(self, parent: Index) -> None:
        """Qt has scrolled to the end of what is loaded."""
        self.load(self._loaded + _BATCH)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt asks for a cell."""
        if not index.isValid():
            return None
        row, column = self.rows[index.row()], self.columns[index.column()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return column.text(row)
        if role == Qt.ItemDataRole.DecorationRole and column.colour is not None:
            return _square(column.colour(row))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignLeft if column.left else Qt.AlignmentFlag.AlignRight
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> str | None:
        """Qt asks for a heading or its tooltip."""
        if orientation != Qt.Orientation.Horizontal or section >= len(self.columns):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self.columns[section].heading
        return self.columns[section].meaning if role == Qt.ItemDataRole.ToolTipRole else None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Qt asks what can be done with a cell."""
        able = super().flags(index)
        editable = index.isValid() and self.columns[index.column()].edit is not None
        return able | Qt.ItemFlag.ItemIsEditable if editable else able

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Qt hands over what was typed into a cell."""
        edit = self.columns[index.column()].edit if index.isValid() else None
        if edit is None or role != Qt.ItemDataRole.EditRole:
            return False
        edit(self.rows[index.row()], str(value))
        return True

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Qt asks for another order; undefined values stay last, equals as they are."""
        key = self.columns[column].key if 0 <= column < len(self.columns) else None
        if key is None:
            return
        known = [row for row in self.rows if key(row) == key(row)]
        unknown = [row for row in self.rows if key(row) != key(row)]
        known.sort(key=key, reverse=order == Qt.SortOrder.DescendingOrder)
        self.show_rows([*known, *unknown])


def table_view(
    model: TableModel, meaning: str = "", chosen: Callable[[str], object] | None = None
) -> QTableView:
    """A view of a table: rows are chosen whole, headings sort; `chosen` hears the name of the row."""
    view = QTableView(sortingEnabled=True)
    view.setModel(model)
    model.setParent(view)
    view.setToolTip(meaning)
    view.setTabKeyNavigation(False)
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    view.verticalHeader().hide()
    view.verticalHeader().setDefaultSectionSize(22)
    header = view.horizontalHeader()
    header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
    header.setDefaultSectionSize(64)
    header.setMinimumSectionSize(48)
    header.setSortIndicator(-1, Qt.SortOrder.DescendingOrder)

    def make_room() -> None:
        for column in range(model.columnCount()):
            view.setColumnWidth(column, max(header.sectionSizeHint(column), 64 if column else 110))

    def tell(current: QModelIndex, _: QModelIndex) -> None:
        if chosen is not None and current.isValid():
            chosen(model.gene_at(current.row()))

    model.modelReset.connect(make_room)
    view.selectionModel().currentChanged.connect(tell)
    make_room()
    return view


def plain(value: object) -> str:
    """A value of a table in words: two digits, small numbers by their power of ten, undefined ones a dash."""
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            return "–"
        return f"{value:.2f}" if abs(float(value)) >= 0.005 or value == 0 else f"{value:.1e}"
    return str(value)


def _cell(column: Sequence[object], row: int) -> str:
    return plain(column[row])


def _square(colour: tuple[int, int, int]) -> QIcon:
    picture = QPixmap(14, 14)
    picture.fill(QColor(*colour))
    return QIcon(picture)
