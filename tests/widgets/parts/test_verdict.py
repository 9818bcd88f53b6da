"""The banner of Predict, Genes and Compare: whole sentences; what is unlike is grey until asked for."""

from __future__ import annotations

import numpy as np
import pytest

from histoscribe.record import amend_record
from histoscribe.verdict import Verdict
from histoscribe.widgets.layers.colours import MISSING
from histoscribe.widgets.layers.layers import add_layer, spot_layer
from histoscribe.widgets.layers.painting import paint, told_verdicts, unlike_rows
from histoscribe.widgets.parts.panel import Panel
from histoscribe.widgets.parts.verdict import VerdictBanner
from histoscribe.widgets.state.state import state_of


def judged(section, verdict, unlike):
    """The section as a prediction with this verdict, some of its tiles unlike."""
    table = section.table.copy()
    table.obs["unlike_training"] = unlike
    amend_record(table, kind="predicted", verdict=verdict)
    return section.with_table(table)


@pytest.fixture
def shown(qtbot, viewer, section):
    """A viewer, its state, and a function that adds a prediction with a verdict."""
    state = state_of(viewer)

    def add(verdict, unlike):
        predicted = judged(section, verdict, unlike)
        layer = add_layer(viewer, spot_layer(predicted))
        state.gene = predicted.genes[0]
        return predicted, layer

    return viewer, state, add


def grey(layer):
    return (np.abs(layer.face_color - np.array(MISSING)) < 1e-3).all(axis=1)


def test_unlike_tiles_are_grey_until_asked_for(shown, section):
    viewer, state, add = shown
    unlike = np.arange(section.table.n_obs) % 3 == 0
    predicted, layer = add(Verdict("like", 0.33), unlike)
    paint(viewer, state)
    assert (grey(layer) == unlike).all()
    banner = VerdictBanner(Panel(viewer), lambda: [predicted])
    assert not banner.asked.isHidden()
    banner.asked.click()
    assert state.unlike
    assert not grey(layer).any()


def test_a_slide_that_is_mostly_unlike_is_not_painted_without_a_click(shown, section):
    viewer, state, add = shown
    predicted, layer = add(Verdict("unlike", 0.9), np.zeros(section.table.n_obs, dtype=bool))
    paint(viewer, state)
    assert unlike_rows(predicted).all()
    assert grey(layer).all()
    banner = VerdictBanner(Panel(viewer), lambda: [predicted])
    banner.asked.click()
    assert not grey(layer).any()


def test_the_banner_says_the_sentence_in_its_colour(shown, section):
    viewer, _, add = shown
    verdict = Verdict("training", 0.0)
    predicted, _ = add(verdict, np.zeros(section.table.n_obs, dtype=bool))
    banner = VerdictBanner(Panel(viewer), lambda: [predicted])
    assert "trained on this very tissue" in banner.words.text()
    assert verdict.colour in banner.words.text()
    assert banner.asked.isHidden()


def test_nothing_is_said_of_what_was_measured(shown, section):
    viewer, *_ = shown
    banner = VerdictBanner(Panel(viewer), lambda: [section])
    assert banner.isHidden()
    assert told_verdicts([section]) == []


def test_a_prediction_without_a_verdict_says_so(shown, section):
    _, _, add = shown
    predicted, _ = add(None, np.zeros(section.table.n_obs, dtype=bool))
    (told,) = told_verdicts([predicted])
    assert told.words.startswith("Not stated.")


def test_predictions_of_one_section_are_told_apart(section):
    models = [("her2st", None), ("bulb", None), ("bulb", 36)]
    found = [judged(section, Verdict("like"), np.zeros(section.table.n_obs, bool)) for _ in models]
    for one, (model, given) in zip(found, models, strict=True):
        amend_record(one.table, model_name=model, guide_spots=given)
    told = [each.of for each in told_verdicts(found)]
    assert told == [
        "A1 predicted by her2st",
        "A1 predicted by bulb",
        "A1 predicted by bulb, guided by 36 spots",
    ]
