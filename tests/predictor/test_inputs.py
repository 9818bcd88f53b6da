"""Units of the image input: of the section itself, of the whole slide for a part, of training for a few."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.inputs import MIN_TILES, InputSpace, Unit


def tiles(seed: int, count: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    places = np.stack(np.divmod(np.arange(count), 8), -1) * 100.0
    return rng.normal(3, 2, (count, 5)).astype(np.float32), places


def encoded(features: np.ndarray, places: np.ndarray) -> EncodedSection:
    return EncodedSection("S", "P", features, places, 100.0, np.ones((len(features), 1)), ("a",))


def space(
    features: np.ndarray,
    places: np.ndarray,
    radii: tuple[float, ...] = (),
    units: tuple[Unit, ...] = ("section",),
) -> InputSpace:
    return InputSpace.learned([encoded(features, places)], radii, units)


@given(st.integers(0, 99), st.floats(0.1, 10), st.floats(-100, 100))
def test_staining_is_taken_out(seed, factor, shift):
    features, places = tiles(seed)
    stained = (features * factor + shift).astype(np.float32)
    known = space(features, places, (1.5,))
    plain = known.of(encoded(features, places))
    np.testing.assert_allclose(known.of(encoded(stained, places)), plain, atol=2e-2)


def test_units_of_training_keep_the_staining():
    features, places = tiles(0)
    shifted = encoded(features + 2 * features.std(axis=0), places)
    both = space(features, places, units=("section", "training")).of(shifted)
    np.testing.assert_allclose(both[:, :5].mean(axis=0), 0, atol=1e-4)
    inside = np.abs(both[:, 5:]) < 5  # beyond, values are cut off
    plain = space(features, places).of(encoded(features, places))
    np.testing.assert_allclose(both[:, 5:][inside], (plain + 2)[inside], atol=1e-4)


@given(st.integers(0, 99), st.sets(st.integers(0, 63), min_size=1))
def test_a_part_is_measured_in_units_of_the_whole(seed, chosen):
    features, places = tiles(seed)
    whole, known = encoded(features, places), space(features, places)
    rows = np.array(sorted(chosen))
    np.testing.assert_array_equal(known.of(whole.part(rows, "part")), known.of(whole)[rows])


def test_halves_of_a_section_remember_the_whole():
    features, places = tiles(0)
    whole = encoded(features, places)
    half = whole.part(np.arange(32), "first")
    quarter = half.part(np.arange(16), "first of first")
    assert half.slide is features
    assert quarter.slide is features
    known = InputSpace.learned([half], (1.5,), ("section",))
    np.testing.assert_allclose(known.descriptors[0], features.mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("slide", [False, True])
def test_a_few_tiles_are_measured_in_training_units_unless_their_slide_is_known(slide):
    features, places = tiles(0)
    known = space(2 * features, places)
    few = features[: MIN_TILES - 1]
    (found,) = known.whole(few, places[: len(few)], features if slide else None).swapaxes(0, 1)
    mean, deviation = (features.mean(0), features.std(0)) if slide else known.descriptors
    np.testing.assert_allclose(found, np.clip((few - mean) / deviation, -5, 5), atol=1e-4)
