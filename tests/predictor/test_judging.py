"""Verdicts as a person would give them: by whose tissue it is, what it looks like, how fine its image is."""

from __future__ import annotations

import numpy as np
import pytest

from histoscribe.errors import ModelError
from histoscribe.models import Card, TrainingSection
from histoscribe.predictor.judging import judge, score_that_applies, times_coarser
from histoscribe.predictor.novelty import learn_familiar

RNG = np.random.default_rng(0)
SEEN = [RNG.normal(size=(200, 30)).astype(np.float32) for _ in range(2)]
FAMILIAR = learn_familiar(SEEN, [part[:, :8] for part in SEEN], 0)


def card(**settings: float) -> Card:
    training = (TrainingSection("A1", "A"), TrainingSection("A2", "A"))
    return Card(
        "predictor", "histoscribe", ("G1", "G2", "G3", "G4"), "log1p", "", training, "", 0, settings=settings
    )


def verdict(features: np.ndarray, *, section="new", patient="Z", coarser=1.0, genes=None):
    novelty = FAMILIAR.novelty(features, features[:, :8])
    return judge(
        card(depth=2000.0), FAMILIAR, novelty, features,
        section=section, patient=patient, coarser=coarser, genes=genes,
    )  # fmt: skip


LIKE = RNG.normal(size=(100, 30)).astype(np.float32)
FAR = LIKE + 9


@pytest.mark.parametrize(
    ("features", "about", "kind"),
    [
        (LIKE, {}, "like"),
        (FAR, {}, "unlike"),
        (LIKE, {"patient": "A"}, "same"),
        (LIKE, {"section": "A2", "patient": "A"}, "training"),
        (SEEN[0], {"section": "renamed"}, "training"),
        (LIKE, {"coarser": 5.0}, "coarse"),
        (LIKE, {"coarser": 5.0, "section": "A2"}, "coarse"),
        (FAR, {"coarser": 5.0}, "unlike"),
        (FAR, {"coarser": 5.0, "patient": "A"}, "coarse"),
        (LIKE, {"coarser": None}, "like"),
        (LIKE, {"coarser": 0.2}, "like"),
    ],
)
def test_the_verdict_is_the_one_a_person_would_give(features, about, kind):
    assert verdict(features, **about).kind == kind


def test_a_verdict_says_what_it_rests_on():
    found = verdict(FAR, coarser=2.0, genes=["G1", "other"])
    assert found.unlike == 1
    assert found.stain > 1
    assert (found.fineness, found.depth, found.genes) == (2.0, 2000.0, 0.25)
    assert verdict(LIKE).stain < 1


def test_an_image_is_compared_with_the_coarsest_of_the_training():
    assert times_coarser(card(fineness_um=2.0), 5.0, "slide") == 2.5
    assert times_coarser(card(), 5.0, "slide") is None
    with pytest.raises(ModelError, match="coarser than what this model learned from"):
        times_coarser(card(fineness_um=1.0), 20.0, "slide")


def test_the_score_that_is_shown_is_the_one_that_applies():
    score = {"r": 0.3, "same": {"r": 0.4}, "new": None}
    assert score_that_applies(score, known=True) == {"r": 0.4}
    assert score_that_applies(score, known=False) == {}
    assert score_that_applies({"r": 0.3}, known=False) == {"r": 0.3}
