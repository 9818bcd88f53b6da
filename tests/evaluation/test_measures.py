from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.ndimage import gaussian_filter

from histoscribe.errors import Cancelled, SettingError, TableError
from histoscribe.evaluation import measures
from histoscribe.evaluation.measures import (
    bootstrap_mean,
    mae_per_gene,
    mse_per_gene,
    pearson_intervals,
    pearson_per_gene,
    spearman_per_gene,
)
from histoscribe.progress import Progress


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    measured = rng.poisson(2.0, size=(60, 40)).astype(float)
    return measured, 0.3 * measured + rng.normal(size=measured.shape)


def test_correlations_are_scipy_s(pair):
    a, b = pair
    pearson = [stats.pearsonr(a[:, gene], b[:, gene]).statistic for gene in range(a.shape[1])]
    spearman = [stats.spearmanr(a[:, gene], b[:, gene]).statistic for gene in range(a.shape[1])]
    np.testing.assert_allclose(pearson_per_gene(a, b), pearson, atol=1e-12)
    np.testing.assert_allclose(spearman_per_gene(a, b), spearman, atol=1e-12)


def test_errors_by_hand():
    a, b = np.array([[0.0, 1], [2, 1]]), np.array([[1.0, 1], [4, 0]])
    np.testing.assert_allclose(mse_per_gene(a, b), [2.5, 0.5])
    np.testing.assert_allclose(mae_per_gene(a, b), [1.5, 0.5])


@pytest.mark.parametrize("measure", [pearson_per_gene, spearman_per_gene])
def test_constant_genes_are_undefined_not_zero(measure):
    varied = np.random.default_rng(0).normal(size=(9, 3))
    flat = varied.copy()
    flat[:, 1] = 0.1
    for a, b in ((flat, varied), (varied, flat), (flat, flat)):
        r = measure(a, b)
        assert np.isnan(r[1])
        assert np.isfinite(r[[0, 2]]).all()


@pytest.mark.parametrize("measure", [pearson_per_gene, spearman_per_gene, mse_per_gene, mae_per_gene])
def test_a_gene_with_a_missing_value_is_undefined(measure):
    a = np.random.default_rng(0).normal(size=(9, 2))
    b = a.copy()
    b[3, 1] = np.nan
    scores = measure(a, b)
    assert np.isfinite(scores[0])
    assert np.isnan(scores[1])


@pytest.mark.parametrize("scale", [1e-160, 1e-9, 1e9, 1e160])
def test_pearson_holds_at_any_scale(pair, scale):
    a, b = pair
    np.testing.assert_allclose(pearson_per_gene(a * scale, b), pearson_per_gene(a, b), atol=1e-9)


@given(arrays(float, (8, 3), elements=st.integers(-50, 50).map(float)), st.floats(0.5, 4), st.floats(-9, 9))
@settings(max_examples=60)
def test_correlation_ignores_shift_and_scale(values, factor, shift):
    r = pearson_per_gene(values, factor * values + shift)
    constant = (values == values[0]).all(axis=0)
    np.testing.assert_allclose(r[~constant], 1, atol=1e-7)
    np.testing.assert_allclose(pearson_per_gene(values, -values)[~constant], -1, atol=1e-9)
    assert np.isnan(pearson_per_gene(values, -values)[constant]).all()


@pytest.mark.parametrize(("a", "b"), [((3, 2), (2, 3)), ((3,), (3,)), ((0, 2), (0, 2))])
def test_what_cannot_be_compared_is_refused(a, b):
    with pytest.raises(TableError):
        pearson_per_gene(np.ones(a), np.ones(b))


def test_bootstrap_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(200):
        interval = bootstrap_mean(rng.normal(0.3, 1, size=60), draws=400, seed=trial)
        hits += interval.low <= 0.3 <= interval.high
    assert 180 <= hits <= 200


def test_bootstrap_leaves_out_what_is_undefined():
    interval = bootstrap_mean([0.1, np.nan, 0.3])
    assert interval.mean == pytest.approx(0.2)
    assert 0.1 <= interval.low <= interval.high <= 0.3
    assert bootstrap_mean([0.1, np.nan, 0.3]) == interval
    assert np.isnan(bootstrap_mean([np.nan]).mean)
    assert np.isnan(bootstrap_mean([0.5]).low)


@pytest.mark.parametrize("measure", [pearson_per_gene, spearman_per_gene, mse_per_gene, mae_per_gene])
def test_a_few_genes_at_a_time_give_what_all_at_once_give(measure, monkeypatch):
    rng = np.random.default_rng(0)
    measured, predicted = rng.normal(size=(2, 40, 7)).astype(np.float32)
    measured[3, 2] = np.nan
    whole = measure(measured, predicted)
    monkeypatch.setattr(measures, "_BLOCK", 100)
    np.testing.assert_allclose(measure(measured, predicted), whole, rtol=1e-12)
    assert measure(measured[:, :0], predicted[:, :0]).shape == (0,)


SIDE = 40
CENTRES = np.argwhere(np.ones((SIDE, SIDE))) * 100.0


def fields(rng: np.random.Generator, genes: int, smooth: float) -> np.ndarray:
    noise = rng.normal(size=(SIDE, SIDE, genes))
    smoothed = gaussian_filter(noise, (smooth, smooth, 0), mode="wrap")
    return (smoothed / smoothed.std(axis=(0, 1))).reshape(-1, genes)


def test_intervals_hold_the_true_r_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    a, noise = fields(rng, 300, 1.5), fields(rng, 300, 1.5)
    b = 0.6 * a + 0.8 * noise
    low, high = pearson_intervals(a, b, CENTRES, patch_um=800)
    inside = np.mean((low <= 0.6) & (high >= 0.6))
    assert 0.85 < inside <= 1.0


def test_smooth_tissue_gives_wider_intervals_than_single_spots_would() -> None:
    rng = np.random.default_rng(2)
    a, b = fields(rng, 50, 2.0), fields(rng, 50, 2.0)
    low, high = pearson_intervals(a, b, CENTRES, patch_um=800)
    alone_low, alone_high = pearson_intervals(a, b, CENTRES, patch_um=1)
    assert np.median(high - low) > 1.5 * np.median(alone_high - alone_low)


def test_the_same_seed_gives_the_same_and_gene_order_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    a, b = fields(rng, 600, 1.0), fields(rng, 600, 1.0)
    low, _ = pearson_intervals(a, b, CENTRES, patch_um=500)
    again, _ = pearson_intervals(a[:, ::-1], b[:, ::-1], CENTRES, patch_um=500)
    np.testing.assert_allclose(low, again[::-1])


def test_constant_genes_and_too_few_patches_have_none() -> None:
    a = np.ones((len(CENTRES), 2))
    a[:, 1] = CENTRES[:, 0]
    low, high = pearson_intervals(a, a, CENTRES, patch_um=800)
    assert np.isnan(low[0])
    assert high[1] == pytest.approx(1.0)
    assert np.isnan(pearson_intervals(a, a, CENTRES, patch_um=1e6)[0]).all()


def test_impossible_settings_and_stopping() -> None:
    a = np.ones((len(CENTRES), 1))
    with pytest.raises(SettingError):
        pearson_intervals(a, a, CENTRES, patch_um=0)
    stopped = Progress()
    stopped.cancel()
    with pytest.raises(Cancelled):
        pearson_intervals(a, a, CENTRES, patch_um=500, progress=stopped)
