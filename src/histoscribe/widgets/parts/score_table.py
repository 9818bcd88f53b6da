"""A table of genes and their scores that sorts by any column."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

if TYPE_CHECKING:
    from pandas import DataFrame


class ScoreModel(QAbstractTableModel):
    """Shows a data frame indexed by gene; numbers with two digits, what is undefined as a dash."""

    def __init__(self) -> None:
        super().__init__()
        self.frame: DataFrame | None = None
        self._words: Mapping[str, str] = {}
        self._meanings: Mapping[str, str] = {}

    def show_frame(
        self, frame: DataFrame | None, words: Mapping[str, str], meanings: Mapping[str, str]
    ) -> None:
        """Show a frame: `words` gives its columns' headings, `meanings` their tooltips."""
        self.beginResetModel()
        self.frame, self._words, self._meanings = frame, words, meanings
        self.endResetModel()

    def gene_at(self, row: int) -> str:
        """The gene of a row."""
        return "" if self.frame is None else str(self.frame.index[row])

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Qt asks for the number of genes."""
        return 0 if self.frame is None else len(self.frame)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Qt asks for the number of columns."""
        return 0 if self.frame is None else 1 + self.frame.shape[1]

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Qt asks for a cell."""
        if self.frame is None or not index.isValid():
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            if index.column() == 0:
                return self.gene_at(index.row())
            return _words(self.frame.iat[index.row(), index.column() - 1])
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column():
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> str | None:
        """Qt asks for a heading or its tooltip."""
        if orientation != Qt.Orientation.Horizontal or self.frame is None:
            return None
        name = str(self.frame.index.name if section == 0 else self.frame.columns[section - 1])
        if role == Qt.ItemDataRole.DisplayRole:
            return self._words.get(name, name)
        return self._meanings.get(name) if role == Qt.ItemDataRole.ToolTipRole else None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Qt asks for another order; undefined values stay last."""
        if self.frame is None or column < 0:
            return
        rising = order == Qt.SortOrder.AscendingOrder
        self.beginResetModel()
        if column == 0:
            self.frame = self.frame.sort_index(ascending=rising)
        else:
            key = self.frame.columns[column - 1]
            self.frame = self.frame.sort_values(key, ascending=rising, na_position="last", kind="stable")
        self.endResetModel()


def score_view(model: ScoreModel) -> QTableView:
    """A view of the model: rows are chosen whole, headings sort."""
    view = QTableView()
    view.setModel(model)
    view.setSortingEnabled(True)
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    view.verticalHeader().hide()
    view.verticalHeader().setDefaultSectionSize(22)
    view.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
    view.horizontalHeader().setDefaultSectionSize(64)
    view.horizontalHeader().setMinimumSectionSize(48)
    model.modelReset.connect(lambda: view.setColumnWidth(0, 110))
    view.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.DescendingOrder)
    return view


def _words(value: object) -> str:
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            return "–"
        return f"{value:.2f}" if abs(value) >= 0.005 or value == 0 else f"{value:.1e}"
    return str(value)
