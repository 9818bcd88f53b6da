"""Intervals of r: they hold the truth as often as they say, and know that neighbours resemble each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from histoscribe.errors import Cancelled, SettingError
from histoscribe.evaluation.intervals import pearson_intervals
from histoscribe.progress import Progress

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
