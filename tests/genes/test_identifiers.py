from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from histoscribe.genes import clean_names, match_genes
from histoscribe.genes.identifiers import clinical_names, gene_likeness, other_names


@pytest.mark.parametrize(
    ("date", "symbol"),
    [
        ("1-Mar", "MARCH1"), ("Mar-01", "MARCH1"), ("2-Sep", "SEPT2"), ("01-Dec", "DEC1"),
        ("10/Sep", "SEPT10"), ("15-Sep", "SEP15"), ("2023-03-01", "MARCH1"),
        ("2021-09-07 00:00:00", "SEPT7"), ("3/1/2023", "MARCH1"), ("01.03.2023", "MARCH1"),
        ("9/15/21", "SEP15"), ("44986", "MARCH1"), ("1. Mrz", "MARCH1"), ("1-Dez", "DEC1"),
        ("Sept-7", "SEPT7"),
    ],
)  # fmt: skip
def test_a_spreadsheet_date_becomes_its_gene_again(date: str, symbol: str) -> None:
    cleaned = clean_names(["TP53", date])
    assert cleaned.names == ("TP53", symbol)
    assert cleaned.dates == ((date, symbol),)


def test_a_date_that_stands_for_two_genes_is_left_as_it_is() -> None:
    cleaned = clean_names(["1-Mar", "1-Mar", "TP53"])
    assert cleaned.names == ("1-Mar", "1-Mar", "TP53")
    assert cleaned.doubtful == ("1-Mar",)
    assert clean_names(["MARCH1", "1-Mar"]).doubtful == ("1-Mar",)


@pytest.mark.parametrize("name", ["20-Sep", "2023-05-01", "31-Dec", "1-Foo", "13/13/2023", "2023-13-01"])
def test_what_no_gene_becomes_is_no_gene(name: str) -> None:
    assert clean_names(["TP53", name]).names == ("TP53", name)


def test_a_day_and_a_month_that_may_be_swapped_are_left() -> None:
    assert clean_names(["TP53", "3/9/2023"]).doubtful == ("3/9/2023",)


def test_numbers_among_entrez_numbers_are_no_dates() -> None:
    assert clean_names(["44986", "29974", "7157"]).dates == ()


def test_ensembl_versions_are_dropped() -> None:
    cleaned = clean_names(["ENSG00000141510.17", "ENSMUSG00000059552.3", "ENSG00000182378.14_PAR_Y"])
    assert cleaned.names == ("ENSG00000141510", "ENSMUSG00000059552", "ENSG00000182378")
    assert cleaned.kind == "ensembl"


def test_identifiers_beside_symbols_and_a_spreadsheets_point_are_taken_off() -> None:
    beside = ["ENSG00000141510.17_TP53", "KRT5-ENSG00000186081", "ENSG00000146648;EGFR", "HLA-A"]
    assert clean_names(beside).names == ("TP53", "KRT5", "EGFR", "HLA-A")
    assert clean_names(["7157.0", "3852.0"]).kind == "entrez"


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


def test_clinical_names_are_those_on_reports() -> None:
    names = clinical_names()
    assert names["ERBB2"] == ("HER2", "NEU", "CD340")
    assert "PD-L1" in names["CD274"]
    assert len(names) > 35
    assert all(gene == gene.upper() and all(others) for gene, others in names.items())


def test_names_come_from_columns_lists_families_and_the_clinic() -> None:
    var = pd.DataFrame(
        {"gene_ids": ["ENSG1", "ENSG2", "nan"], "synonyms": ["A; B|C", "", "KI-67,X"]},
        index=["MARCH1", "TP53", "MKI67"],
    )
    names = other_names([var])
    assert names["MARCH1"] == ("MARCHF1", "ENSG1", "A", "B", "C")
    assert names["TP53"] == ("P53", "ENSG2")
    assert names["MKI67"] == ("KI67", "KI-67", "X")


def test_a_gene_without_another_name_is_not_listed() -> None:
    assert other_names([pd.DataFrame(index=["QQQ7"])]) == {}
