from __future__ import annotations

from pathlib import Path

import pytest

from histoscribe.errors import TableError
from histoscribe.genes import read_gene_sets
from histoscribe.genes.sets import present, shipped_gene_sets


def test_gene_sets_that_come_with_it_are_sound() -> None:
    sets = shipped_gene_sets()
    assert len(sets) > 30
    assert {"CELL_CYCLE", "EMT", "SITE_LIVER", "SITE_BRAIN", "SITE_BONE_MARROW"} <= set(sets)
    assert all(len(genes) == len(set(genes)) >= 20 for genes in sets.values())
    assert present(sets, sets["EMT"]).keys() >= {"EMT"}


@pytest.mark.parametrize("content", [b"", b"\n\n", b"NAME\tonly a description\n", b"\xff\xfe\x00"])
def test_what_is_no_gmt_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.gmt").write_bytes(content)
    with pytest.raises(TableError, match=r"x\.gmt"):
        read_gene_sets(tmp_path / "x.gmt")


def test_a_gmt_file_is_read_and_cut_to_a_table_s_genes(tmp_path: Path) -> None:
    (tmp_path / "x.gmt").write_text("ONE\tabout\tA\tB\tB\tC\n\nTWO\t\tD\tE\n", encoding="utf-8")
    sets = read_gene_sets(tmp_path / "x.gmt")
    assert sets == {"ONE": ("A", "B", "C"), "TWO": ("D", "E")}
    assert present(sets, ("C", "A", "D"), least=2) == {"ONE": ("A", "C")}
