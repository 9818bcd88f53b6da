"""Clusters find the tissue's kinds again; a set's score is high where its genes are."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.metrics import adjusted_rand_score

from histoscribe.errors import RegionError
from histoscribe.evaluation.clusters import expression_clusters, set_score
from histoscribe.section import Section

SIDE = 12


@pytest.fixture
def section() -> Section:
    """Three stripes of tissue, each with ten genes of its own."""
    rng = np.random.default_rng(0)
    rows, columns = np.divmod(np.arange(SIDE**2), SIDE)
    means = np.full((SIDE**2, 40), 4.0)
    for kind in range(3):
        means[columns // 4 == kind, 10 * kind : 10 * kind + 10] = 16
    table = anndata.AnnData(
        sparse.csr_matrix(rng.poisson(means).astype(np.float32)),
        obs=pd.DataFrame({"kind": columns // 4}, index=[f"s{number}" for number in range(SIDE**2)]),
        var=pd.DataFrame(index=[f"G{number}" for number in range(40)]),
        obsm={"spatial": np.column_stack([columns, rows]) * 100.0},
        uns={"histoscribe": {"kind": "measured"}},
    )
    return Section("A", table, None, 0.5, 30.0, 50.0, "P")


def test_kinds_of_tissue_are_found_again(section: Section) -> None:
    labels = expression_clusters(section)
    assert adjusted_rand_score(section.table.obs["kind"], labels) > 0.9
    np.testing.assert_array_equal(labels, expression_clusters(section))
    sizes = [(labels == name).sum() for name in sorted(set(labels.tolist()), key=int)]
    assert sizes == sorted(sizes, reverse=True)


def test_a_set_scores_high_where_its_genes_are(section: Section) -> None:
    scores = set_score(section, [f"G{number}" for number in range(10)] + ["absent"])
    inside = section.table.obs["kind"].to_numpy() == 0
    assert scores[inside].min() > scores[~inside].max()
    assert scores.mean() == pytest.approx(0, abs=1e-6)


def test_too_little_is_refused(section: Section) -> None:
    with pytest.raises(RegionError, match="too few to be clustered"):
        expression_clusters(section.with_table(section.table[:9].copy()))
    with pytest.raises(RegionError, match="at least 3 are needed"):
        set_score(section, ["G1", "absent"])
