"""Units of the image input: of the section itself, of the whole slide for a part, of training for a few."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.inputs import MIN_TILES, image_input, training_scales


def tiles(seed: int, count: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    places = np.stack(np.divmod(np.arange(count), 8), -1) * 100.0
    return rng.normal(3, 2, (count, 5)).astype(np.float32), places


@given(st.integers(0, 99), st.floats(0.1, 10), st.floats(-100, 100))
def test_staining_is_taken_out(seed, factor, shift):
    features, places = tiles(seed)
    stained = (features * factor + shift).astype(np.float32)
    plain = image_input(features, places, 100.0, (1.5,))
    np.testing.assert_allclose(image_input(stained, places, 100.0, (1.5,)), plain, atol=2e-2)


@given(st.integers(0, 99), st.sets(st.integers(0, 63), min_size=1))
def test_a_part_is_measured_in_units_of_the_whole(seed, chosen):
    features, places = tiles(seed)
    rows = np.array(sorted(chosen))
    part = image_input(features[rows], places[rows], 100.0, (), slide=features)
    np.testing.assert_array_equal(part, image_input(features, places, 100.0, ())[rows])


def test_halves_of_a_section_remember_the_whole():
    features, places = tiles(0)
    whole = EncodedSection("S", "P", features, places, 100.0, np.ones((64, 2)), ("a", "b"))
    half = whole.part(np.arange(32), "first")
    quarter = half.part(np.arange(16), "first of first")
    assert half.slide is features
    assert quarter.slide is features
    scales = training_scales([half], 100.0, (1.5,))
    np.testing.assert_allclose(scales[0][0], features.mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("slide", [False, True])
def test_a_few_tiles_are_measured_in_training_units_unless_their_slide_is_known(slide):
    features, places = tiles(0)
    training = training_scales(
        [EncodedSection("S", "P", 2 * features, places, 100.0, np.ones((64, 1)), ("a",))], 100.0, ()
    )
    few = features[: MIN_TILES - 1]
    found = image_input(few, places[: len(few)], 100.0, (), training, slide=features if slide else None)
    mean, deviation = (features.mean(0), features.std(0)) if slide else training[0]
    np.testing.assert_allclose(found, np.clip((few - mean) / deviation, -5, 5), atol=1e-4)
