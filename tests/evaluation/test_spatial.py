"""Maps that agree are alike, and genes that vary in space are told from noise."""

from __future__ import annotations

import numpy as np
import pytest

from histoscribe.evaluation.spatial import moran_per_gene, recovered_share, ssim_per_gene

SIDE = 14
PLACES = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij"), -1).reshape(-1, 2) * 200.0


@pytest.fixture(scope="module")
def maps() -> np.ndarray:
    """Two waves, noise, and a constant."""
    rows, columns = PLACES.T / 200
    noise = np.random.default_rng(0).normal(size=len(PLACES))
    return np.stack([np.sin(rows / 2), np.cos(columns / 3), noise, np.ones(len(PLACES))], 1)


def test_a_map_is_like_itself_on_any_scale_and_unlike_its_neighbour(maps):
    np.testing.assert_allclose(ssim_per_gene(maps, 3 * maps + 1, PLACES, 200)[:3], 1)
    crossed = ssim_per_gene(maps[:, [0]], maps[:, [2]], PLACES, 200)[0]
    near = ssim_per_gene(maps[:, [0]], maps[:, [0]] + 0.2 * maps[:, [2]], PLACES, 200)[0]
    assert crossed < 0.3 < near < 1


def test_constant_genes_have_no_likeness(maps):
    found = ssim_per_gene(maps[:, [3, 0]], maps[:, [0, 3]], PLACES, 200)
    assert np.isnan(found[0])
    assert found[1] < 0.5


def test_spots_do_not_have_to_fill_the_array(maps):
    rows = np.random.default_rng(1).permutation(len(PLACES))[:60]
    found = ssim_per_gene(maps[rows], maps[rows], PLACES[rows], 200)
    np.testing.assert_allclose(found[:3], 1)


def test_moran_finds_waves_and_not_noise(maps):
    moran, p = moran_per_gene(maps, PLACES, 200.0)
    assert (moran[:2] > 0.7).all()
    assert abs(moran[2]) < 0.2
    assert np.isnan(moran[3])
    assert (p[:2] < 1e-6).all()
    assert p[3] == 1


def test_recovery_counts_the_common_genes():
    measured = np.array([0.9, 0.8, 0.1, 0.0])
    assert recovered_share(measured, np.array([0.5, 0.1, 0.4, 0.0]), 2) == 0.5
    assert recovered_share(measured, np.full(4, np.nan), 2) == 0
    assert np.isnan(recovered_share(np.full(4, np.nan), measured, 2))
