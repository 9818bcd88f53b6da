from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from histoscribe.simulate.cells import EPITHELIAL, FIBROBLAST, KINDS, T_CELL, TUMOUR_CELL, place_cells
from histoscribe.simulate.render import paint_nuclei, render, section_stain
from histoscribe.simulate.tissue import STROMA, TUMOUR, grow_tissue, keep_apart


@pytest.fixture(scope="module")
def tissue():
    return grow_tissue(3, "P", 1200.0)


@pytest.fixture(scope="module")
def cells(tissue):
    return place_cells(tissue, 3)


def test_shares_sum_to_one(tissue):
    np.testing.assert_allclose(tissue.share.sum(axis=0), 1, atol=1e-5)
    for layer in (tissue.grade, tissue.hypoxia, tissue.hidden):
        assert layer.min() >= 0
        assert layer.max() <= 1


def test_thinning_keeps_points_apart():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 100, (800, 2))
    kept = points[keep_apart(rng, points, 5.0)]
    assert 100 < len(kept) < 800
    assert pdist(kept).min() >= 5.0


def test_cells_lie_in_tissue_and_follow_their_region(tissue, cells):
    assert (tissue.inside[tissue.index(cells.centres)] > 0).all()
    assert cells.kind.max() < len(KINDS)
    assert (cells.half_axes[:, 0] >= cells.half_axes[:, 1]).all()
    shares = tissue.share[:, *tissue.index(cells.centres)]
    assert shares[TUMOUR, cells.kind == TUMOUR_CELL].mean() > 0.8
    assert shares[STROMA, cells.kind == FIBROBLAST].mean() > 0.5
    assert np.median(cells.half_axes[cells.kind == TUMOUR_CELL]) > np.median(
        cells.half_axes[cells.kind == T_CELL]
    )
    assert (cells.kind == EPITHELIAL).any() == (len(tissue.glands.centres) > 0)


def test_same_seed_same_picture_other_seed_another(tissue, cells):
    stain = section_stain(3, "P")
    first, again = (render(tissue, cells, stain, 2.0, 3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, render(tissue, cells, stain, 2.0, 4))


def test_stain_differs_more_between_patients_than_between_sections():
    def vector(seed, patient):
        return np.concatenate([np.ravel(section_stain(seed, patient).vectors)])

    within = np.mean([np.abs(vector(1, p) - vector(2, p)).mean() for p in "abcdefgh"])
    between = np.mean(
        [np.abs(vector(1, p) - vector(1, q)).mean() for p, q in zip("abcd", "efgh", strict=True)]
    )
    assert between > 1.5 * within


def test_picture_is_white_outside_and_nuclei_are_dark(tissue, cells):
    mpp = 1.0
    pixels = render(tissue, cells, section_stain(3, "P"), mpp, 3).astype(float)
    assert pixels.shape == (1200, 1200, 3)
    assert pixels[:8, :8].min() > 225
    at = (cells.centres / mpp).astype(int)
    on_nuclei = pixels[at[:, 0], at[:, 1]].mean()
    assert on_nuclei < pixels[pixels.min(axis=2) < 215].mean() - 30


def test_painted_nuclei_cover_their_area(cells):
    _, cover = paint_nuclei(cells, 1.0, 1200, np.random.default_rng(0))
    assert cover.min() >= 0
    assert cover.max() <= 1
    expected = np.pi * cells.half_axes.prod(axis=1).sum()
    assert cover.sum() == pytest.approx(expected, rel=0.15)
