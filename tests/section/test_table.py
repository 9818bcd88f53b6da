from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from scipy.sparse import csr_matrix

from histoscribe.errors import SectionError, TableError
from histoscribe.section import Section, gene_column
from histoscribe.section.table import _columns, checked_counts, examples, repeated, unique_genes


def section_of(matrix: object) -> Section:
    table = anndata.AnnData(matrix, var=pd.DataFrame(index=[f"g{i}" for i in range(matrix.shape[1])]))  # type: ignore[attr-defined]
    return Section("s", table, None, 1.0, 55, 100, "p")


@pytest.mark.parametrize("form", [np.asarray, csr_matrix])
def test_one_gene_is_that_column(form: type) -> None:
    values = np.random.default_rng(0).poisson(0.5, (30, 8)).astype(np.float32)
    section = section_of(form(values))
    for index in (0, 5, 5, 7):
        column = gene_column(section, f"g{index}")
        assert column.dtype == np.float32
        np.testing.assert_array_equal(column, values[:, index])
    view = section.with_table(section.table[3:9])
    np.testing.assert_array_equal(gene_column(view, "g2"), values[3:9, 2])


def test_another_matrix_gives_other_values_and_nothing_is_hoarded() -> None:
    section = section_of(csr_matrix(np.ones((3, 2), np.float32)))
    assert gene_column(section, "g0").sum() == 3
    section.table.X = csr_matrix(np.full((3, 2), 2.0, np.float32))
    assert gene_column(section, "g0").sum() == 6
    kept = len(_columns)
    del section
    import gc

    gc.collect()
    assert len(_columns) < kept


def test_an_unknown_gene_gets_a_suggestion() -> None:
    section = section_of(np.ones((2, 3)))
    with pytest.raises(TableError, match="there is no gene 'g11'; did you mean g1"):
        gene_column(section, "g11")
    with pytest.raises(TableError, match="check the spelling"):
        gene_column(section, "ERBB2")


@given(st.lists(st.sampled_from(["A", "B", "A-1", "C"]), min_size=1, max_size=12))
def test_unique_genes_follow_scanpys_rule(genes: list[str]) -> None:
    names, warnings = unique_genes(genes)
    assert len(set(names)) == len(genes)
    assert bool(warnings) == (len(set(genes)) < len(genes))
    for gene in set(genes):
        assert names[genes.index(gene)] == gene
    table = anndata.AnnData(np.ones((1, len(genes))), var=pd.DataFrame(index=genes))
    table.var_names_make_unique()
    assert table.var_names.tolist() == list(names)


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(SectionError) as caught:
        checked_counts(np.array([[1, -1], [np.nan, 0]]), ["a", "a", "b"], ["g"], where=Path("counts"))
    message = str(caught.value)
    for part in (
        "1 counts are missing",
        "1 counts are negative",
        "2 × 2 but there are 3 spot",
        "named twice: a",
    ):
        assert part in message


def test_names_are_listed_shortly() -> None:
    assert examples(["a", "b"]) == "a, b"
    assert examples(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert repeated(["b", "a", "b", "b", "a"]) == ["b", "a"]
