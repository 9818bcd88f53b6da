"""Attention and attribution: what they sum to, and that they point at what matters."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from histoscribe.errors import Cancelled, TableError
from histoscribe.predictor import Predictor, attention_maps, attribute
from histoscribe.predictor.ensemble import EnsembleWeights
from histoscribe.predictor.inputs import InputSpace
from histoscribe.predictor.model import FittedPredictor, ImageInputs, project
from histoscribe.predictor.novelty import NoveltyReference
from histoscribe.predictor.variants.histoscribe import VARIANT
from histoscribe.progress import Progress


@pytest.fixture(scope="module")
def fitted(make_section):
    cohort = [make_section("S1", seed=1), make_section("S2", seed=2)]
    quick = {"epochs": 8, "members": 1, "panel_size": 12, "width": 16, "radii": (1.5,), "device": "cpu"}
    quick["graphs"] = ("spatial", "functional")
    return Predictor(**quick).fit_encoded(cohort)


@pytest.fixture(scope="module")
def unseen(make_section):
    return make_section("S3", seed=3)


def test_attention_into_a_tile_sums_to_one_and_stays_near(fitted, unseen):
    expression = fitted.predict_encoded(unseen.features, unseen.centres_um)
    types = np.zeros(len(expression), dtype=np.int64)
    maps = attention_maps(fitted.fitted, expression, unseen.centres_um, types, unseen.pitch_um)
    assert set(maps) == {"spatial", "functional"}
    for one in maps.values():
        looked = np.bincount(one.edges[1], one.weights, minlength=one.tiles)
        np.testing.assert_allclose(looked, 1, atol=1e-5)
        assert one.of(5).sum() == pytest.approx(1, abs=1e-5)
        assert one.received().sum() <= one.tiles
    far = np.linalg.norm(unseen.centres_um - unseen.centres_um[5], axis=1)
    assert far[maps["spatial"].of(5) > 0].max() <= 1.5 * unseen.pitch_um


def test_what_is_attributed_adds_up_over_reaches_and_descriptors(fitted, unseen):
    found = attribute(fitted, unseen.features, unseen.centres_um, fitted.genes[0])
    assert found.reaches == ("own tile", "within 1.5 pitches")
    np.testing.assert_allclose(found.by_reach.sum(1), found.by_descriptor.sum(1), atol=1e-3)
    names = tuple(f"D{number}" for number in range(unseen.features.shape[1]))
    strongest = found.strongest(names, 3)
    assert len(strongest) == 3
    assert strongest[0][1] >= strongest[1][1] >= strongest[2][1] > 0


def an_ensemble_of_everything(features: int, genes: int, views: int, references: int = 40) -> FittedPredictor:
    """A predictor whose arrays and untrained networks follow from a seed alone, all three answers in use.

    Every reference counts, so that the prediction has no steps where one takes another's place.
    """
    settings = VARIANT.settings(width=16, radii=(1.5,), units=("section",), members=1)
    random = np.random.default_rng(5)

    def draw(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    inputs, axes, rank = 2 * features, 10, 3
    none, one = np.zeros(0, np.float32), np.ones(features, np.float32)
    return FittedPredictor(
        settings=settings,
        space=InputSpace(100.0, settings.reaches, settings.measures, (0 * one, one), (0 * one, one)),
        components=draw(inputs, views * axes) / 4,
        mean=draw(genes),
        deviation=np.abs(draw(genes)) + 0.5,
        ridge=draw(inputs, rank) / 4,
        loadings=draw(rank, genes),
        values=draw(references, genes),
        trust=np.abs(draw(references)) + 0.1,
        keys=[draw(references, 16) for _ in range(views)],
        networks=[VARIANT.build(settings, axes, genes, 3 + view).eval() for view in range(views)],
        familiar=NoveltyReference(none, none, none, none, none, none),
        spatial=np.zeros(genes, np.float32),
        views=views,
        weights=EnsembleWeights(0.4, 0.3, 0.3, neighbours=references, temperature=0.2),
    )


@pytest.mark.parametrize("views", [1, 2])
def test_the_gradient_is_that_of_the_prediction(unseen, views):
    """Central differences of what is predicted, along every input of the image."""
    features, genes, column, step = unseen.features, ("A", "B", "C"), 1, 0.02
    model = an_ensemble_of_everything(features.shape[1], len(genes), views)
    found = attribute(SimpleNamespace(fitted=model, genes=genes), features, unseen.centres_um, genes[column])
    gradient = found.gradient.reshape(len(features), -1)
    seen = model.space.whole(features, unseen.centres_um).reshape(len(features), -1)

    def answer(inputs: np.ndarray) -> np.ndarray:
        given = ImageInputs(
            project(inputs, model.components, inputs.shape[1]),
            inputs @ model.ridge,
            inputs,
            unseen.centres_um,
        )
        weighed = model.partial_predictions(given, torch.device("cpu"))[0].weighed(model.weights)
        return weighed[:, column].astype(np.float64) * model.deviation[column]

    told = np.empty_like(gradient)
    for number in range(seen.shape[1]):
        aside = np.zeros_like(seen)
        aside[:, number] = step
        told[:, number] = (answer(seen + aside) - answer(seen - aside)) / (2 * step)
    # A rounding to float32 moves an answer near 1 by 6e-8, some ten of them over twice the step by 1.5e-5; a
    # third derivative near 1 counts by a sixth of the step's square, 7e-5.
    assert np.abs(gradient).max() > 0.3
    np.testing.assert_allclose(told, gradient, rtol=0, atol=1e-4)


def test_tiles_behind_a_prediction_lie_within_its_reach(fitted, unseen):
    found = attribute(fitted, unseen.features, unseen.centres_um, fitted.genes[0])
    behind = found.tiles_behind(44)
    far = np.linalg.norm(unseen.centres_um - unseen.centres_um[44], axis=1)
    assert (behind[far > 1.6 * unseen.pitch_um] == 0).all()
    assert (behind != 0).sum() == 9


def test_a_part_of_a_slide_is_explained_in_the_units_of_the_whole(fitted, unseen):
    part = slice(0, 50)
    features, centres = unseen.features[part], unseen.centres_um[part]
    alone = attribute(fitted, features, centres, fitted.genes[0])
    within = attribute(fitted, features, centres, fitted.genes[0], slide=unseen.features)
    whole = attribute(fitted, unseen.features, unseen.centres_um, fitted.genes[0])
    np.testing.assert_allclose(within.plain, whole.plain[part], atol=1e-5)
    assert not np.allclose(alone.plain, within.plain, atol=0.1)


def test_tracing_can_be_cancelled(fitted, unseen):
    progress = Progress()
    progress.cancel()
    with pytest.raises(Cancelled):
        attribute(fitted, unseen.features, unseen.centres_um, fitted.genes[0], progress=progress)


def test_unknown_genes_are_named(fitted, unseen):
    with pytest.raises(TableError, match="does not predict NOGENE"):
        attribute(fitted, unseen.features, unseen.centres_um, "NOGENE")
