"""The search: what it finds, in which order, and that it keeps up with typing."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from qtpy.QtCore import Qt

from histoscribe.genes.identifiers import other_names
from histoscribe.section import Section
from histoscribe.widgets.parts.gene_list import (
    GENE_ROLE,
    SCORE_ROLE,
    GeneListModel,
    GeneSearch,
    Hit,
    Reliability,
)

FRAME = 0.016
TIP = Qt.ItemDataRole.ToolTipRole


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


def test_other_names_are_found_after_the_same_name_and_before_the_rest() -> None:
    search = GeneSearch(
        ["XHER2", "HER2A", "ERBB2", "AHER"], {"ERBB2": ("HER2", "ENSG00000141736"), "AHER": ("HER22",)}
    )
    assert [hit.gene for hit in search.find("her2")] == ["ERBB2", "HER2A", "AHER", "XHER2"]
    assert search.find("ensg00000141736") == [Hit("ERBB2", "ENSG00000141736")]
    assert search.find("erbb2") == [Hit("ERBB2")]


def test_names_of_the_table_the_clinic_and_renamed_families_are_known(section: Section) -> None:
    section.table.var["gene_ids"] = [f"ENSG{number:011d}" for number in range(section.table.n_vars)]
    section.table.var["synonyms"] = ["TROP1; KSA", "nan", "", "x|y", "a,b"]
    names = other_names([section.table.var])
    assert names["EPCAM"] == ("CD326", "TACSTD1", "ENSG00000000000", "TROP1", "KSA")
    assert "HER2" in names["ERBB2"]
    assert names["CD3E"] == ("ENSG00000000003", "x", "y")


def test_held_out_reliability_stands_beside_the_name() -> None:
    model = GeneListModel()
    model.set_genes(["EPCAM", "CD3E"], {"EPCAM": Reliability(0.534, 0.41, 0.65)})
    first, second = model.index(0), model.index(1)
    assert model.data(first, GENE_ROLE) == "EPCAM"
    assert model.data(first, SCORE_ROLE).r == 0.534
    assert model.data(second, SCORE_ROLE) is None
    assert "0.53 (0.41 to 0.65)" in model.data(first, TIP)
    assert "held out" in model.data(first, TIP)
    assert "no prediction" in model.data(second, TIP)


def test_an_ensembl_identifier_is_shown_and_found_by_its_symbol() -> None:
    import pandas as pd

    names = ["ENSMUSG00000045573.11", "ENSG00000141736", "ENSMUSG99999999999"]
    model = GeneListModel()
    model.set_genes(names, {}, other_names([pd.DataFrame(index=names)]))
    shown = [model.data(model.index(row)) for row in range(3)]
    assert shown == ["Penk   ENSMUSG00000045573.11", "ERBB2   ENSG00000141736", "ENSMUSG99999999999"]
    model.search("penk")
    assert model.shown == ["ENSMUSG00000045573.11"]
    model.search("her2")
    assert model.shown == ["ENSG00000141736"]


def test_a_restored_gene_claims_no_reliability_of_other_tissue() -> None:
    model = GeneListModel()
    model.set_genes(["EPCAM"], {}, restored=["EPCAM"])
    assert "on this tissue is unknown" in model.data(model.index(0), TIP)


def test_pinned_genes_come_first_and_are_marked() -> None:
    model = GeneListModel()
    model.set_genes(["A1", "A2", "B1", "A3"], {})
    model.set_pinned(("A3", "B1"))
    assert model.shown == ["A3", "B1", "A1", "A2"]
    assert model.data(model.index(0)) == "★ A3"
    model.search("a")
    assert model.shown == ["A3", "A1", "A2"]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.text(alphabet="ABab12-", min_size=1, max_size=6), unique=True, max_size=30),
    st.text("ab12-", max_size=3),
)
def test_every_match_is_found_once(names: list[str], query: str) -> None:
    found = [hit.gene for hit in GeneSearch(names).find(query)]
    assert sorted(found) == sorted(name for name in names if query in name.casefold())


def test_a_keystroke_over_20000_names_takes_less_than_a_frame() -> None:
    rng = np.random.default_rng(0)
    names = ["".join(rng.choice(list("ABCDEGKLMNPRST0123456789"), 6)) for _ in range(20_000)]
    model = GeneListModel()
    others = {name: (f"ENSG{number:011d}",) for number, name in enumerate(names)}
    model.set_genes(names, {}, others)
    seconds = []
    for query in ("c", "cd", "cd3", "cd", "c", ""):
        start = time.thread_time()
        model.search(query)
        seconds.append(time.thread_time() - start)
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
