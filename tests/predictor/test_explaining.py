"""Attention and attribution: what they sum to, and that they point at what matters."""

from __future__ import annotations

import numpy as np
import pytest

from histoscribe.errors import Cancelled, TableError
from histoscribe.predictor import Predictor, attention_maps, attribute
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


def test_the_gradient_is_that_of_the_prediction(fitted, unseen):
    """Raising one descriptor of one tile moves the prediction as the own tile's gradient says, or nearly."""
    gene = fitted.genes[0]
    found = attribute(fitted, unseen.features, unseen.centres_um, gene)
    base = fitted.predict_encoded(unseen.features, unseen.centres_um)[:, 0]
    tile = int(np.argmax(base))  # well above zero, where predictions are cut off
    column = int(np.argmax(np.abs(found.gradient[tile].sum((0, 1)))))
    step, spread = 0.05, unseen.features[:, column].std()
    moved = unseen.features.copy()
    moved[tile, column] += step * spread
    change = (fitted.predict_encoded(moved, unseen.centres_um)[:, 0] - base)[tile] / step
    expected = (found.gradient[tile, :, 0, column] + found.gradient[tile, :, 1, column] / 9).sum()
    assert np.sign(change) == np.sign(expected)
    assert change == pytest.approx(expected, rel=0.6, abs=0.02)


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
