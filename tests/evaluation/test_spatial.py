"""Maps that agree are alike, and genes that vary in space are told from noise."""

from __future__ import annotations

import numpy as np
import pytest

from histoscribe.evaluation.spatial import (
    moran_per_gene,
    neighbour_enrichment,
    neighbour_graph,
    recovered_share,
    ssim_per_gene,
)

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


def moran_by_hand(values: np.ndarray, places: np.ndarray, pitch: float) -> float:
    """Moran's I from its definition, weights of a row summing to 1 (Moran, Biometrika 1950)."""
    away = np.linalg.norm(places[:, None] - places[None], axis=-1)
    weights = ((away > 0) & (away <= 1.5 * pitch)).astype(float)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1)
    centred = values - values.mean()
    return len(values) / weights.sum() * (centred @ weights @ centred) / (centred @ centred)


def test_moran_is_what_its_definition_says(maps):
    found = moran_per_gene(maps, PLACES, 200.0)[0]
    assert found[:3] == pytest.approx(
        [moran_by_hand(maps[:, gene], PLACES, 200.0) for gene in range(3)], rel=1e-4
    )


@pytest.mark.parametrize("lost", [np.nan, np.inf, 1.0])
def test_a_gene_that_has_no_moran_leaves_the_others_theirs(maps, lost):
    alone = moran_per_gene(maps[:, :3], PLACES, 200.0)
    spoiled = maps.copy()
    spoiled[:, 3] = 1.0
    spoiled[0, 3] = lost
    found = moran_per_gene(spoiled, PLACES, 200.0)
    assert np.isnan(found[0][3])
    assert found[1][3] == 1
    np.testing.assert_array_equal(found[0][:3], alone[0])
    np.testing.assert_array_equal(found[1][:3], alone[1])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_three_spots_tell_nothing_in_space(maps, count):
    moran, p = moran_per_gene(maps[:count], PLACES[:count], 200.0)
    assert np.isnan(moran).all()
    assert (p == 1).all()


def test_spots_far_apart_are_no_neighbours(maps):
    moran, p = moran_per_gene(maps, PLACES * 8, 200.0)
    assert np.isnan(moran).all()
    assert (p == 1).all()
    assert neighbour_graph(PLACES * 8, 200.0).nnz == 0


def test_an_isolated_spot_has_no_say_but_in_the_mean(maps):
    places = np.concatenate([PLACES, [[90_000.0, 90_000.0]]])
    values = np.concatenate([maps, maps[:1]])
    found, p = moran_per_gene(values, places, 200.0)
    assert found[0] == pytest.approx(moran_by_hand(values[:, 0], places, 200.0), rel=0.02)
    assert np.isfinite(p).all()


def test_classes_keep_to_themselves_or_mix():
    halves = np.where(PLACES[:, 1] < 1400, "left", "right")
    names, apart = neighbour_enrichment(halves, PLACES, 200.0)
    assert names == ["left", "right"]
    assert apart[0, 0] > 5 > -5 > apart[0, 1]
    mixed = np.random.default_rng(3).choice(["left", "right"], len(PLACES))
    assert np.abs(neighbour_enrichment(mixed, PLACES, 200.0)[1]).max() < 4


def test_enrichment_is_squidpys_where_it_is_defined():
    import anndata
    import pandas as pd
    import squidpy

    labels = np.random.default_rng(3).choice(["a", "b", "c"], len(PLACES))
    table = anndata.AnnData(np.zeros((len(PLACES), 1)), obsm={"spatial": PLACES})
    table.obs["class"] = pd.Categorical(labels)
    squidpy.gr.spatial_neighbors(table, coord_type="generic", radius=300.0)
    squidpy.gr.nhood_enrichment(table, "class", seed=1, n_perms=500, show_progress_bar=False, n_jobs=1)
    expected = table.uns["class_nhood_enrichment"]["zscore"]
    np.testing.assert_allclose(neighbour_enrichment(labels, PLACES, 200.0, seed=1)[1], expected, rtol=1e-6)


def test_a_class_of_few_or_lonely_spots_is_undefined_alone():
    labels = np.where(PLACES[:, 1] < 1400, "left", "right").astype("<U9")
    labels[[0, 1]] = "few"
    lonely = [[90_000.0 + 9_000 * number, 0.0] for number in range(4)]
    labels, places = np.concatenate([labels, ["lonely"] * 4]), np.concatenate([PLACES, lonely])
    names, scores = neighbour_enrichment(labels, places, 200.0)
    undefined = [name in ("few", "lonely") for name in names]
    assert np.isnan(scores[undefined]).all()
    assert np.isnan(scores[:, undefined]).all()
    assert np.isfinite(scores[~np.array(undefined)][:, ~np.array(undefined)]).all()
    assert np.isnan(neighbour_enrichment(labels[-4:], places[-4:], 200.0)[1]).all()
