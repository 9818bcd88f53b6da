"""The one model of all tables: rows, headings, order, undefined values, edits, batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from qtpy.QtCore import QModelIndex, Qt

from histoscribe.widgets.parts.tables import Column, TableModel, plain, table_view

pytestmark = pytest.mark.viewer

UP, DOWN = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder


@pytest.fixture
def frame() -> pd.DataFrame:
    index = pd.Index(["B", "A", "C", "D"], name="gene")
    return pd.DataFrame({"r": [0.5, np.nan, -0.25, 0.75], "spots": [3, 1, 2, 1]}, index=index)


def names(model: TableModel) -> list[str]:
    return [model.gene_at(row) for row in range(model.rowCount())]


def test_a_frame_is_shown_with_headings_and_meanings(frame: pd.DataFrame) -> None:
    model = TableModel()
    model.show_frame(frame, {"r": "r here"}, {"r": "Pearson"})
    across = Qt.Orientation.Horizontal
    assert [model.headerData(place, across) for place in range(3)] == ["gene", "r here", "spots"]
    assert model.headerData(1, across, Qt.ItemDataRole.ToolTipRole) == "Pearson"
    assert [model.index(1, column).data() for column in range(3)] == ["A", "–", "1"]
    assert names(model) == ["B", "A", "C", "D"]
    model.show_frame(None, {})
    assert (model.rowCount(), model.columnCount(), model.frame) == (0, 0, None)


def test_genes_are_shown_by_their_symbols_and_known_by_their_names() -> None:
    model = TableModel()
    model.show_frame(pd.DataFrame({"r": [0.5, 0.7]}, pd.Index(["ENSG00000119888", "CD3E"], name="gene")), {})
    assert [model.index(row, 0).data() for row in range(2)] == ["EPCAM", "CD3E"]
    assert names(model) == ["ENSG00000119888", "CD3E"]
    model.sort(0, UP)
    assert names(model) == ["CD3E", "ENSG00000119888"]


def test_undefined_values_stay_last_whatever_the_order(frame: pd.DataFrame) -> None:
    model = TableModel()
    model.show_frame(frame, {})
    model.sort(1, DOWN)
    assert names(model) == ["D", "B", "C", "A"]
    model.sort(1, UP)
    assert names(model) == ["C", "B", "D", "A"]
    assert model.frame is not None
    assert list(model.frame.index) == names(model)
    model.sort(0, UP)
    assert names(model) == ["A", "B", "C", "D"]


def test_equal_values_keep_their_order(frame: pd.DataFrame) -> None:
    model = TableModel()
    model.show_frame(frame, {})
    model.sort(2, UP)
    assert names(model) == ["A", "D", "C", "B"]


def test_a_cell_is_edited_only_where_its_column_allows_it() -> None:
    heard: list[Any] = []
    model = TableModel(
        [
            Column("name", lambda row: row[0], edit=lambda row, words: heard.append((row, words))),
            Column("count", lambda row: str(row[1]), colour=lambda row: (255, 0, 0)),
        ]
    )
    model.show_rows([("Tumour", 3)])
    assert model.flags(model.index(0, 0)) & Qt.ItemFlag.ItemIsEditable
    assert not model.flags(model.index(0, 1)) & Qt.ItemFlag.ItemIsEditable
    assert model.setData(model.index(0, 0), "Stroma")
    assert not model.setData(model.index(0, 1), "4")
    assert heard == [(("Tumour", 3), "Stroma")]
    assert not model.index(0, 1).data(Qt.ItemDataRole.DecorationRole).isNull()


def test_long_tables_are_handed_over_in_batches() -> None:
    model = TableModel([Column("n", str, key=lambda row: row)])
    model.show_rows(range(1200))
    assert model.rowCount() == 500
    assert model.canFetchMore(QModelIndex())
    model.fetchMore(QModelIndex())
    assert model.rowCount() == 1000
    model.load(1150)
    assert model.rowCount() == 1150
    assert model.index(1149).data() == "1149"
    assert not model.index(1199).isValid()
    model.sort(0, DOWN)
    assert model.index(0).data() == "1199"


def test_a_view_makes_room_for_its_headings(qtbot: Any, frame: pd.DataFrame) -> None:
    model = TableModel()
    view = table_view(model, "Scores")
    qtbot.addWidget(view)
    model.show_frame(frame, {"spots": "spots with at least one count of it"})
    header = view.horizontalHeader()
    assert all(view.columnWidth(place) >= header.sectionSizeHint(place) for place in range(3))
    assert view.toolTip() == "Scores"


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_numbers_in_words_are_near_the_numbers(value: float) -> None:
    words = plain(value)
    if not np.isfinite(value):
        assert words == "–"
    else:
        assert abs(float(words) - value) <= max(0.0051, 0.06 * abs(value))
