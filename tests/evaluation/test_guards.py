"""Degenerate input costs itself: every statistic beside scipy, squidpy and values by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from histoscribe.errors import HistoscribeError, RegionError, TableError
from histoscribe.evaluation.clusters import expression_clusters, set_score
from histoscribe.evaluation.guards import moments, varying
from histoscribe.evaluation.matching import match_spots
from histoscribe.evaluation.measures import pearson_intervals, pearson_per_gene, spearman_per_gene
from histoscribe.evaluation.regions import (
    REST,
    class_neighbourhood,
    class_statistics,
    differential_genes,
    gene_moments,
    morans_i,
    variable_genes,
)
from histoscribe.evaluation.spatial import moran_per_gene, neighbour_enrichment, ssim_per_gene
from histoscribe.section import Section
from histoscribe.tiles import Region

SIDE = 12
PLACES = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij"), -1).reshape(-1, 2) * 100.0
LEFT = PLACES[:, 1] < 500
LABELS = np.where(LEFT, "left", "right")


@pytest.fixture
def values() -> np.ndarray:
    """Log values: ordinary, constant, zero, of one class alone, of one spot alone, with a NaN, infinite."""
    rng = np.random.default_rng(0)
    found = rng.gamma(2, 1, (len(PLACES), 7)) * (rng.random((len(PLACES), 7)) < 0.8)
    found[:, 1], found[:, 2], found[~LEFT, 3], found[1:, 4] = 9.21, 0, 0, 0
    found[0, 4], found[7, 5], found[9, 6] = 3.0, np.nan, np.inf
    return found


def section(x: np.ndarray, kind: str = "predicted") -> Section:
    table = anndata.AnnData(
        x.astype(np.float32),
        obs=pd.DataFrame(index=[f"s{row}" for row in range(len(x))]),
        var=pd.DataFrame(index=[f"G{column}" for column in range(x.shape[1])]),
        obsm={"spatial": PLACES[: len(x), ::-1].copy()},
        uns={"histoscribe": {"kind": kind}},
    )
    return Section("A", table, None, 1.0, 55.0, 100.0, "P")


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csr_array])
def test_genes_that_vary_and_their_moments(values, kind):
    held = kind(values.astype(np.float32))
    np.testing.assert_array_equal(varying(held), [True, False, False, True, True, False, False])
    mean, variance = moments(kind(values[:, :5].astype(np.float32)))
    np.testing.assert_allclose(mean, values[:, :5].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(variance, values[:, :5].var(axis=0) * [1, 0, 0, 1, 1], rtol=1e-4)
    assert not varying(held[:0]).any()


def test_correlations_are_scipys_or_undefined(values):
    other = np.random.default_rng(1).normal(size=values.shape)
    for ours, theirs in ((pearson_per_gene, stats.pearsonr), (spearman_per_gene, stats.spearmanr)):
        with np.errstate(all="ignore"):
            found = ours(values, other)
        expected = [theirs(values[:, gene], other[:, gene]).statistic for gene in (0, 3, 4)]
        np.testing.assert_allclose(found[[0, 3, 4]], expected)
        assert np.isnan(found[[1, 2, 5]]).all()
        assert np.isnan(ours(values[:1], other[:1])).all()


def test_differences_are_scipys_or_undefined(values):
    counts = np.rint(np.nan_to_num(values, nan=0, posinf=0) * 3)
    found = differential_genes(section(counts, "measured"), LABELS, "left", "right")
    found = found.loc[[f"G{gene}" for gene in range(7)]]
    x = np.log1p(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * 1e4)
    sizes = LEFT.sum(), (~LEFT).sum()
    for gene in (0, 3, 4):
        u = stats.mannwhitneyu(x[LEFT, gene], x[~LEFT, gene], method="asymptotic", use_continuity=False)
        z = stats.norm.isf(u.pvalue / 2) * np.sign(u.statistic - sizes[0] * sizes[1] / 2)
        share = found["effective_spots"].iloc[gene] / sum(sizes)
        assert found["score"].iloc[gene] == pytest.approx(z * np.sqrt(share), rel=1e-3)
        spread = np.sqrt(
            (x[LEFT, gene].var() * sizes[0] + x[~LEFT, gene].var() * sizes[1]) / (sum(sizes) - 2)
        )
        effect = (x[LEFT, gene].mean() - x[~LEFT, gene].mean()) / spread
        assert found["effect"].iloc[gene] == pytest.approx(effect, rel=1e-4)
    means = x[LEFT, 0].mean(), x[~LEFT, 0].mean()
    assert found["log2_fold_change"].iloc[0] == pytest.approx(
        np.log2(np.expm1(means[0]) / np.expm1(means[1]))
    )
    assert np.isnan(found["log2_fold_change"].iloc[[2, 3, 4]]).all()
    assert found[["score", "effect"]].iloc[2].tolist() == [0, 0]
    assert found["p_adjusted"].iloc[2] == 1


def test_predictions_below_zero_have_no_ratio_and_their_own_shares(values):
    x = np.random.default_rng(2).normal(0, 1, (len(PLACES), 3))
    x[:, 1] += 4
    found = differential_genes(section(x), LABELS, "left", "right")
    for gene in range(3):
        assert found.at[f"G{gene}", "in_first"] == pytest.approx((x[LEFT, gene] > 0).mean())
    assert np.isnan(found.at["G0", "log2_fold_change"])
    assert abs(found.at["G1", "log2_fold_change"]) < 1


def test_predictions_of_next_to_nothing_have_no_ratio():
    """Softplus gives 1e-9 where there is nothing: a fold change of 32 would be of the network's tail."""
    x = np.abs(np.random.default_rng(2).normal(2, 0.2, (len(PLACES), 2)))
    x[~LEFT, 0] = 1e-9
    found = differential_genes(section(x), LABELS, "left", "right")
    assert np.isnan(found.at["G0", "log2_fold_change"])
    assert found.at["G0", "effect"] > 5
    assert np.isfinite(found.at["G1", "log2_fold_change"])


def test_where_all_are_neighbours_of_all_no_gene_has_a_pattern(values):
    """As of spots that were all given one place: I is -1 / (spots - 1) whatever they hold."""
    for places in (np.zeros_like(PLACES), PLACES / 100):
        moran, p = moran_per_gene(values, places, 100)
        assert np.isnan(moran).all()
        assert (p == 1).all()
    twice = np.concatenate([PLACES, PLACES])
    moran, p = moran_per_gene(np.concatenate([values, values]), twice, 100)
    assert np.isfinite(moran[[0, 3]]).all()
    assert ((p >= 0) & (p <= 1)).all()


@pytest.mark.parametrize("pitch", [None, 1587.0])
def test_spots_farther_apart_than_tissue_reaches_are_no_neighbours(values, pitch):
    far = section(values)
    far.table.obsm["spatial"] = far.table.obsm["spatial"] * 15.87
    far = replace(far, pitch_um=pitch)
    for ask in (lambda: morans_i(far, ["G0"]), lambda: class_neighbourhood(far, LABELS)):
        with pytest.raises(RegionError, match="lie 1,587 µm apart"):
            ask()


def test_a_spot_without_a_place_is_a_sentence(values):
    lost = section(np.nan_to_num(values, nan=0, posinf=0), "measured")
    lost.table.obsm["spatial"][3] = np.nan
    asked = (
        lambda: differential_genes(lost, LABELS, "left", "right"),
        lambda: match_spots(lost, lost),
        lambda: ssim_per_gene(values, values, lost.centres, 100),
        lambda: neighbour_enrichment(LABELS, lost.centres, 100),
    )
    for ask in asked:
        with pytest.raises(HistoscribeError, match="no finite position"):
            ask()


def test_names_are_told_apart_and_looked_up(values):
    whole = section(values)
    with pytest.raises(TableError, match="there is no gene 'G9'"):
        morans_i(whole, ["G0", "G9"])
    drawn = Region("outside", (1, 2, 3), np.array([[0, 0], [0, 450], [1200, 450], [1200, 0]], float))
    found = class_statistics(values[:, 0], np.where(LEFT, "outside", ""), [drawn], 1.0)
    assert found["spots"].to_dict() == {"outside": LEFT.sum(), REST: (~LEFT).sum()}


def test_what_a_section_lacks_is_said_and_spoils_nothing(values):
    whole = section(values)
    assert variable_genes(whole) == ["G0", "G3", "G4"]
    assert (gene_moments(whole)["variance"].to_numpy()[[1, 2]] == 0).all()
    assert len(set(expression_clusters(whole))) > 1
    np.testing.assert_array_equal(
        expression_clusters(whole), expression_clusters(section(values[:, [0, 3, 4]]))
    )
    for flat in (values[:, [1, 2]], values[:, [5]]):
        with pytest.raises(RegionError, match="nothing to cluster by"):
            expression_clusters(section(flat))
    score = set_score(whole, [f"G{gene}" for gene in range(7)] + ["G0"])
    known = values[:, [0, 3, 4]].astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(score, stats.zscore(known, axis=0).mean(axis=1))
    with pytest.raises(RegionError, match="1 of 3 genes of the set vary"):
        set_score(whole, ["G0", "G0", "G1"])


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_fewer_than_four_spots_have_no_place_to_tell(values, count):
    few, places = values[:count], PLACES[:count]
    assert np.isnan(ssim_per_gene(few, few, places, 100)).all()
    assert np.isnan(moran_per_gene(few, places, 100)[0]).all()
    assert np.isnan(pearson_intervals(few, few, places, patch_um=300)).all()


def test_likeness_is_undefined_where_a_side_is(values):
    other = np.random.default_rng(1).normal(size=values.shape)
    np.testing.assert_array_equal(
        np.isnan(ssim_per_gene(values, other, PLACES, 100)), [False, True, True, False, False, True, True]
    )
    np.testing.assert_array_equal(np.isnan(ssim_per_gene(other, values, PLACES, 100)), np.arange(7) > 4)
    far = np.concatenate([PLACES, [[1e9, 1e9]]])
    assert np.isnan(
        ssim_per_gene(other[[*range(len(PLACES)), 0]], other[[*range(len(PLACES)), 0]], far, 100)
    ).all()


@pytest.mark.slow
def test_threads_are_left_as_found():
    words = """
import numpy, torch
from histoscribe.evaluation.spatial import moran_per_gene
torch.set_num_threads(1)
places = numpy.argwhere(numpy.ones((6, 6))) * 100.0
moran_per_gene(numpy.random.default_rng(0).normal(size=(36, 2)), places, 100.0)
assert torch.get_num_threads() == 1
"""
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_NUM_THREADS"}
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", words], check=True, env={**kept, "OMP_NUM_THREADS": "1"}
    )
