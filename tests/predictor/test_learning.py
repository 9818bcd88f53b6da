"""What inner folds choose: context, units, and how much they can know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from histoscribe.predictor.target import choose_panel
from histoscribe.predictor.training.learning import (
    HALVES,
    REACHES,
    choose_encoder,
    choose_inputs,
    inner_folds,
)
from histoscribe.predictor.variants.histoscribe import VARIANT


def test_units_of_training_are_chosen_where_sections_differ_in_contrast(make_section):
    """Pale spots alone, measured in their own units, would look as rich as a whole section."""
    sections = [make_section(f"S{seed}", seed=seed) for seed in (1, 2)]
    for seed in (3, 4):
        whole = make_section(f"S{seed}", seed=seed, side=14)
        pale = np.argsort(np.linalg.norm(whole.features, axis=1))[:60]
        sections.append(replace(whole.part(np.sort(pale), whole.name), slide=None))
    panel = choose_panel(sections, 20)
    chosen = choose_inputs(sections, panel, VARIANT.settings())
    assert chosen.units == ("section", "training")
    assert chosen.radii in REACHES


def test_one_section_cannot_tell_about_units(make_section):
    section = make_section("S1", seed=1)
    chosen = choose_inputs([section], choose_panel([section], 10), VARIANT.settings())
    assert chosen.units == ("section",)


def test_what_is_set_is_kept(make_section):
    sections = [make_section(f"S{seed}", seed=seed) for seed in (1, 2)]
    given = VARIANT.settings(radii=(2.0,), units=("training",))
    assert choose_inputs(sections, choose_panel(sections, 10), given) == given


@pytest.mark.parametrize(("patients", "split"), [("AB", "section"), ("AABC", "patient"), ("A", HALVES)])
def test_folds_keep_patients_apart_where_there_are_enough(make_section, patients, split):
    sections = [make_section(f"S{n}", patient=p, seed=n, side=6) for n, p in enumerate(patients)]
    folds, found = inner_folds(sections)
    assert found == split
    for training, held_out in folds:
        assert {s.name for s in training}.isdisjoint(s.name for s in held_out)
        if split == "patient":
            assert {s.patient for s in training}.isdisjoint(s.patient for s in held_out)


def test_a_single_section_is_halved_along_both_sides(make_section):
    section = make_section("S1", side=6)
    folds, _ = inner_folds([section])
    spots = [({*training.spots}, {*held_out.spots}) for (training,), (held_out,) in folds]
    assert all(not training & held_out for training, held_out in spots)
    assert all(training | held_out == {*section.spots} for training, held_out in spots)
    assert [held_out for _, held_out in spots] == [spots[n][0] for n in (1, 0, 3, 2)]
    assert len({frozenset(held_out) for _, held_out in spots}) == 4


@pytest.mark.parametrize(("informed", "chosen"), [(slice(20), "builtin-1"), (slice(400, 420), "texture-1")])
def test_the_encoder_that_knows_is_chosen_and_its_descriptors_kept(make_section, informed, chosen):
    sections, rng = [], np.random.default_rng(0)
    for seed in (1, 2, 3):
        section = make_section(f"S{seed}", seed=seed)
        described = rng.normal(size=(len(section.features), 336 + 848)).astype(np.float32)
        described[:, informed] = section.features
        sections.append(replace(section, features=described))
    encoder, found = choose_encoder(sections, (), VARIANT.settings(panel_size=20, radii=()), "cpu")
    assert encoder.name == chosen
    columns = slice(336) if chosen == "builtin-1" else slice(336, None)
    for section, whole in zip(found, sections, strict=True):
        np.testing.assert_array_equal(section.features, whole.features[:, columns])
