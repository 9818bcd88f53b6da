"""Each gene is written as smooth as its place in space says, and inner folds say how much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from histoscribe.predictor import Predictor, panel_expression
from histoscribe.predictor.ensemble import gene_correlation
from histoscribe.predictor.smoothness import choose_smoothness, smoothed, spatial_order

SIDE = 12
PLACES = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij"), -1).reshape(-1, 2) * 100.0


def genes(seed: int, noise: np.ndarray) -> np.ndarray:
    """One wave for all genes, and noise of each gene's own size."""
    rng = np.random.default_rng(seed)
    wave = np.sin(PLACES @ rng.uniform(0.004, 0.008, 2))[:, None]
    return (wave + noise * rng.normal(size=(len(PLACES), len(noise)))).astype(np.float32)


NOISE = np.linspace(0, 3, 20)


def test_genes_are_ordered_by_how_far_they_hang_together_in_space() -> None:
    order = spatial_order([genes(1, NOISE), genes(2, NOISE)], [PLACES, PLACES], 100.0)
    assert (order.min(), order.max()) == (0, 1)
    assert np.corrcoef(order, -NOISE)[0, 1] > 0.95


@given(share=st.floats(-1, 1), level=st.floats(-5, 5))
def test_what_is_even_stays_as_it_is(share: float, level: float) -> None:
    even = np.full((len(PLACES), 2), level, np.float32)
    ((_, found),) = smoothed(even, PLACES, 100.0, np.array([share, 0], np.float32))
    np.testing.assert_allclose(found, even, atol=1e-5)


def test_a_share_of_one_is_the_mean_over_neighbours_and_none_is_nothing() -> None:
    values = genes(3, NOISE[:3])
    share = np.array([0, 1, -0.5], np.float32)
    ((_, found),) = smoothed(values, PLACES, 100.0, share)
    middle = SIDE * 5 + 5
    near = np.abs(PLACES - PLACES[middle]).max(axis=1) <= 100
    mean = values[near].mean(axis=0)
    np.testing.assert_array_equal(found[:, 0], values[:, 0])
    np.testing.assert_allclose(found[middle, 1], mean[1], rtol=1e-5)
    np.testing.assert_allclose(found[middle, 2], 1.5 * values[middle, 2] - 0.5 * mean[2], rtol=1e-5)
    ((_, found),) = smoothed(values, PLACES, 100.0, np.zeros(3, np.float32))
    np.testing.assert_array_equal(found, values)


def test_predictions_that_are_all_alike_are_told_apart() -> None:
    """All are predicted equally rough: those that are smooth in tissue are to be smoothed, not the others."""
    rng = np.random.default_rng(0)
    folds = []
    for seed in (1, 2):
        measured = genes(seed, NOISE)
        predicted = genes(seed, np.zeros(20)) + 0.4 * rng.normal(size=measured.shape)
        order = spatial_order([genes(seed + 5, NOISE)], [PLACES], 100.0)
        folds.append((predicted.astype(np.float32), measured, PLACES, order))
    rough, smooth = choose_smoothness(folds, 100.0)
    assert smooth > rough
    assert smooth >= 0.2


def test_a_model_writes_spatial_genes_smoother_and_keeps_that_when_it_is_saved(
    make_section, tmp_path
) -> None:
    sections = [make_section("S1", seed=1), make_section("S2", seed=2)]
    quick = {"epochs": 10, "members": 1, "panel_size": 40, "width": 32, "device": "cpu"}
    fitted = Predictor(**quick).fit_encoded(sections)
    unseen = make_section("S3", seed=3)
    told = fitted.predict_encoded(unseen.features, unseen.centres_um)
    assert gene_correlation(told, panel_expression(unseen, fitted.genes)).mean() > 0.8
    fitted.save(tmp_path / "model")
    loaded = Predictor.load(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(loaded.predict_encoded(unseen.features, unseen.centres_um), told)
    weights = replace(fitted.fitted.weights, rough=0.0, smooth=1.0)
    smoother = replace(fitted.fitted, weights=weights).expression(told, unseen.centres_um)
    most, least = np.argmax(fitted.fitted.spatial), np.argmin(fitted.fitted.spatial)
    plain = replace(fitted.fitted, weights=replace(weights, smooth=0.0)).expression(told, unseen.centres_um)
    np.testing.assert_array_equal(smoother[:, least], plain[:, least])
    assert smoother[:, most].var() < plain[:, most].var()


def test_it_can_be_left_out(make_section) -> None:
    quick = {"epochs": 1, "members": 1, "panel_size": 10, "width": 16, "device": "cpu"}
    fitted = Predictor(**quick, without=("smoothness",)).fit_encoded([make_section("S1", side=8)])
    assert (fitted.fitted.weights.rough, fitted.fitted.weights.smooth) == (0, 0)
    assert fitted.card.settings["blend"]["smooth"] == pytest.approx(0)
