from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from histoscribe.genes import clean_names, match_genes
from histoscribe.genes.identifiers import gene_likeness


@pytest.mark.parametrize(
    ("date", "symbol"),
    [("1-Mar", "MARCH1"), ("Mar-01", "MARCH1"), ("2-Sep", "SEPT2"), ("01-Dec", "DEC1"), ("10/Sep", "SEPT10")],
)
def test_a_spreadsheet_date_becomes_its_gene_again(date: str, symbol: str) -> None:
    cleaned = clean_names(["TP53", date])
    assert cleaned.names == ("TP53", symbol)
    assert cleaned.dates == ((date, symbol),)


def test_a_date_that_stands_for_two_genes_is_left_as_it_is() -> None:
    cleaned = clean_names(["1-Mar", "1-Mar", "TP53"])
    assert cleaned.names == ("1-Mar", "1-Mar", "TP53")
    assert cleaned.doubtful == ("1-Mar",)
    assert clean_names(["MARCH1", "1-Mar"]).doubtful == ("1-Mar",)


def test_ensembl_versions_are_dropped() -> None:
    cleaned = clean_names(["ENSG00000141510.17", "ENSMUSG00000059552.3", "ENSG00000182378.14_PAR_Y"])
    assert cleaned.names == ("ENSG00000141510", "ENSMUSG00000059552", "ENSG00000182378")
    assert cleaned.kind == "ensembl"


def test_kinds() -> None:
    assert clean_names(["1", "29974"]).kind == "entrez"
    assert clean_names(["TP53", "HLA-A", "C1orf112"]).kind == "symbol"


def test_renamed_genes_and_aliases_are_found() -> None:
    found = match_genes(
        ["MARCH1", "SEPTIN2", "TP53", "DEC1", "KRT5"],
        ["DELEC1", "ENSG00000141510", "MARCHF1", "SEPT2"],
        {"ENSG00000141510": "TP53"},
    )
    assert found == {"MARCH1": 2, "SEPTIN2": 3, "TP53": 1, "DEC1": 0}


def test_samples_do_not_look_like_genes() -> None:
    genes = ["TP53", "KRT5", "HLA-A", "1-Mar", "C1orf112"]
    for samples in (["TCGA-A7-A0CE-01A-11R-A00Z-07"] * 5, [f"S{i}" for i in range(9)], ["10x12", "3x4"]):
        assert gene_likeness(samples) < gene_likeness(genes)


@given(st.lists(st.text(max_size=12), max_size=30))
def test_cleaning_keeps_number_and_order_and_is_stable(names: list[str]) -> None:
    cleaned = clean_names(names)
    assert len(cleaned.names) == len(names)
    assert len(clean_names(cleaned.names).names) == len(names)
