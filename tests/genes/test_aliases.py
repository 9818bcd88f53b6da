from __future__ import annotations

import pandas as pd

from histoscribe.genes.aliases import clinical_names, other_names


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
