"""The search: what it finds, in which order, and that it keeps up with typing."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qtpy.QtCore import Qt

from histoscribe.widgets.gene_list import GeneListModel, matching

FRAME = 0.016


def test_equal_names_come_first_then_beginnings_then_the_rest() -> None:
    model = GeneListModel()
    model.set_genes(["AKT1", "XAKT", "AKT", "TP53", "AKT2"], {})
    model.search("akt")
    assert model.shown == ["AKT", "AKT1", "AKT2", "XAKT"]


def test_an_empty_search_shows_all_and_nonsense_none() -> None:
    model = GeneListModel()
    model.set_genes(["A", "B"], {})
    model.search("zzz")
    assert model.rowCount() == 0
    model.search("  ")
    assert model.shown == ["A", "B"]


def test_held_out_scores_stand_beside_the_name() -> None:
    model = GeneListModel()
    model.set_genes(["EPCAM", "CD3E"], {"EPCAM": 0.534})
    first, second = model.index(0), model.index(1)
    assert model.data(first) == "EPCAM    r 0.53"
    assert model.data(second) == "CD3E"
    assert model.data(first, Qt.ItemDataRole.UserRole) == "EPCAM"
    assert "held-out" in model.data(first, Qt.ItemDataRole.ToolTipRole)


@given(
    st.lists(st.text(alphabet="ABab12-", max_size=6), unique=True, max_size=30), st.text("ab12-", max_size=3)
)
def test_every_match_is_found_once(names: list[str], query: str) -> None:
    found = matching(names, [name.casefold() for name in names], query)
    assert sorted(found) == sorted(name for name in names if query in name.casefold())


def test_a_keystroke_over_20000_names_takes_less_than_a_frame() -> None:
    rng = np.random.default_rng(0)
    names = ["".join(rng.choice(list("ABCDEGKLMNPRST0123456789"), 6)) for _ in range(20_000)]
    model = GeneListModel()
    model.set_genes(names, {})
    seconds = []
    for query in ("c", "cd", "cd3", "cd", "c", ""):
        start = time.perf_counter()
        model.search(query)
        seconds.append(time.perf_counter() - start)
    assert float(np.median(seconds)) < FRAME, pytest.approx(seconds)


def test_rows_are_loaded_as_they_are_needed() -> None:
    model = GeneListModel()
    model.set_genes([f"GENE{number:05d}" for number in range(20_000)], {})
    first = model.rowCount()
    assert first < 20_000
    assert model.canFetchMore(model.index(-1))
    model.fetchMore(model.index(-1))
    assert model.rowCount() > first
    row = model.row_of("GENE15000")
    assert model.data(row) == "GENE15000"
    assert not model.row_of("TP53").isValid()
