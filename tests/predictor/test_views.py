"""Parts of a joined encoder are seen by themselves and together, and averaged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from histoscribe.errors import ModelError
from histoscribe.predictor import Predictor, panel_expression
from histoscribe.predictor.ensemble import gene_correlation
from histoscribe.predictor.linear import principal_axes, weighted_ridge
from histoscribe.predictor.training.views import (
    EncoderView,
    InputMatrix,
    InputProducts,
    parts_and_whole,
    seeing_all,
    view_axes,
    view_ridge,
)
from histoscribe.predictor.variants.histoscribe import VARIANT

QUICK = {"epochs": 20, "members": 2, "panel_size": 30, "width": 32, "components": 8, "device": "cpu"}
SETTINGS = VARIANT.settings(radii=(1.5,), units=("section",))


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, 20)).astype(np.float32)


def test_without_parts_there_is_one_view_and_nothing_changes(inputs: np.ndarray) -> None:
    views = [EncoderView(part, (1.5,), ("section",)).columns(SETTINGS, 10) for part in parts_and_whole(())]
    scores, trust = np.random.default_rng(1).normal(size=(60, 3)), np.ones(60)
    matrix = InputMatrix(inputs, scores, trust)
    np.testing.assert_array_equal(view_axes(matrix, views, 5), principal_axes(inputs, 5))
    np.testing.assert_array_equal(view_ridge(matrix, views), weighted_ridge(inputs, scores, trust))
    assert view_axes(matrix, views, 0).shape == (20, 0)


def test_each_part_is_seen_in_every_block_of_the_input(inputs: np.ndarray) -> None:
    parts = parts_and_whole((4, 6))
    first, second, whole = (EncoderView(part, (1.5,), ("section",)).columns(SETTINGS, 10) for part in parts)
    assert first.tolist() == [0, 1, 2, 3, 10, 11, 12, 13]
    assert sorted([*first, *second]) == whole.tolist() == list(range(20))
    matrix = InputMatrix(inputs, np.zeros((60, 1)), np.ones(60))
    axes = view_axes(matrix, [first, second, whole], 5).reshape(20, 3, 5)
    assert not axes[second, 0].any()
    assert not axes[first, 1].any()
    # Every view is brought near 1 by the factor that `project` divides all by.
    sizes = np.linalg.norm(axes, axis=0)[:, 0] / np.sqrt(20 / 15)
    np.testing.assert_allclose(sizes, np.sqrt(5 / np.array([8, 12, 20])), rtol=1e-5)


def test_products_of_blocks_give_what_the_whole_matrix_gives(inputs: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    scores, trust = rng.normal(size=(60, 3)), rng.uniform(0.1, 2, 60)
    views = [np.arange(20), np.arange(5, 12)]
    whole = InputMatrix(inputs + 3, scores, trust)
    blocks = InputProducts(iter(np.split(inputs + 3, [10, 15, 47])), scores, trust)
    np.testing.assert_allclose(view_axes(blocks, views, 4), view_axes(whole, views, 4), atol=1e-5)
    np.testing.assert_allclose(view_ridge(blocks, views), view_ridge(whole, views), atol=1e-6)


def test_a_view_that_looks_less_far_has_no_columns_of_what_others_see() -> None:
    near = EncoderView(slice(0, 1), (1.5,), ("section",))
    far = EncoderView(slice(None), (1.5, 3.0), ("section", "training"))
    settings = seeing_all(VARIANT.settings(), [near, far])
    assert (settings.radii, settings.units) == (far.radii, far.units)
    assert near.columns(settings, 2).tolist() == [0, 2]
    assert far.columns(settings, 2).tolist() == list(range(12))


@pytest.mark.slow
def test_a_model_of_joined_descriptors_learns_repeats_itself_and_is_kept(make_section, tmp_path) -> None:
    sections = [replace(make_section(f"S{seed}", seed=seed), parts=(8, 12)) for seed in (1, 2)]
    unseen = make_section("S3", seed=3)
    fitted = Predictor(**QUICK).fit_encoded(sections)
    assert (fitted.fitted.views, len(fitted.fitted.networks)) == (3, 6)
    told = fitted.predict_encoded(unseen.features, unseen.centres_um)
    assert gene_correlation(told, panel_expression(unseen, fitted.genes)).mean() > 0.8
    fitted.save(tmp_path / "model")
    loaded = Predictor.load(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(loaded.predict_encoded(unseen.features, unseen.centres_um), told)
    card = (tmp_path / "model" / "card.json").read_text(encoding="utf-8")
    (tmp_path / "model" / "card.json").write_text(card.replace('"views": 3', '"views": -3'), encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be used"):
        Predictor.load(tmp_path / "model", device="cpu")
