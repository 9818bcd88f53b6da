"""The target: per spot, over all genes; and a panel that sees only what it is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_matrix

from histoscribe.errors import SettingError, TableError
from histoscribe.predictor import choose_panel, log_cp10k, panel_expression

COUNTS = arrays(np.int64, (6, 9), elements=st.integers(0, 50))


@settings(max_examples=40)
@given(COUNTS)
def test_every_spot_sums_to_ten_thousand(counts):
    total = np.expm1(log_cp10k(counts).astype(np.float64)).sum(axis=1)
    np.testing.assert_allclose(total, np.where(counts.sum(axis=1) > 0, 10_000, 0), rtol=1e-4)


@settings(max_examples=40)
@given(COUNTS, arrays(np.int64, 6, elements=st.integers(1, 9)))
def test_depth_of_a_spot_does_not_leak(counts, factor):
    np.testing.assert_allclose(log_cp10k(counts * factor[:, None]), log_cp10k(counts), atol=1e-5)


@settings(max_examples=20)
@given(COUNTS)
def test_sparse_and_dense_agree(counts):
    found = log_cp10k(csr_matrix(counts))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.toarray(), log_cp10k(counts), atol=1e-6)


def test_all_genes_count_before_the_panel_is_cut(make_section):
    section = make_section()
    dense = section.counts.toarray()
    expected = np.log1p(dense / dense.sum(axis=1, keepdims=True) * 1e4)[:, [5, 2]]
    np.testing.assert_allclose(panel_expression(section, ["G5", "G2"]), expected, rtol=1e-5)


@pytest.mark.parametrize("wrong", [np.nan, -1.0, np.inf])
def test_what_is_no_count_is_refused(wrong):
    counts = np.ones((3, 4))
    counts[1, 2] = wrong
    with pytest.raises(TableError, match="negative or not numbers"):
        log_cp10k(counts)
    with pytest.raises(TableError, match="negative or not numbers"):
        log_cp10k(csr_matrix(counts))


def test_panel_is_the_most_variable_genes_of_what_it_is_given(make_section):
    sections = [make_section("A", seed=1), make_section("B", seed=2)]
    pooled = np.concatenate([log_cp10k(section.counts).toarray() for section in sections])
    expected = [f"G{number}" for number in np.argsort(-pooled.var(axis=0), kind="stable")[:10]]
    assert choose_panel(sections, 10) == expected


def test_panel_holds_only_genes_of_all_sections(make_section):
    first, second = make_section("A"), make_section("B")
    second = replace(second, counts=second.counts[:, 10:], genes=list(second.genes)[10:])
    assert not {f"G{number}" for number in range(10)} & set(choose_panel([first, second], 60))


def test_sections_without_a_common_gene_are_refused(make_section):
    first, second = make_section("A"), make_section("B")
    second = replace(second, genes=[f"ENSG{number}" for number in range(60)])
    with pytest.raises(TableError, match="no gene in common"):
        choose_panel([first, second])


def test_empty_panels_are_refused(make_section):
    with pytest.raises(SettingError):
        choose_panel([make_section()], 0)


def test_missing_panel_genes_are_named(make_section):
    with pytest.raises(TableError, match="MYC"):
        panel_expression(make_section(), ["G1", "MYC"])
