"""The predictor learns what can be learned, repeats itself, and refuses what does not fit."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from histoscribe.errors import Cancelled, ModelError, SectionError, SettingError, TableError
from histoscribe.predictor import Predictor, panel_expression
from histoscribe.predictor.ensemble import gene_correlation
from histoscribe.predictor.storage import from_tensors, to_tensors
from histoscribe.predictor.training.learning import REACHES
from histoscribe.progress import Progress

QUICK = {"epochs": 30, "members": 1, "panel_size": 40, "width": 32, "device": "cpu"}


@pytest.fixture(scope="module")
def cohort(make_section):
    return [make_section("S1", patient="P1", seed=1), make_section("S2", patient="P2", seed=2)]


@pytest.fixture(scope="module")
def unseen(make_section):
    return make_section("S3", seed=3)


@pytest.fixture(scope="module")
def fitted(cohort):
    return Predictor(**QUICK).fit_encoded(cohort)


def predicted(predictor, section):
    return predictor.predict_encoded(section.features, section.centres_um)


def test_learns_what_descriptors_determine(fitted, unseen):
    expression = predicted(fitted, unseen)
    r = gene_correlation(expression, panel_expression(unseen, fitted.genes))
    assert r.mean() > 0.8
    assert expression.dtype == np.float32
    assert expression.min() >= 0


def test_the_card_tells_what_was_learned_from(fitted):
    card = fitted.card
    assert (card.kind, card.variant, card.sections, card.patients) == (
        "predictor",
        "histoscribe",
        ("S1", "S2"),
        ("P1", "P2"),
    )
    assert len(card.genes) == 40
    assert len(card.sha256) == 64
    assert card.held_out.keys() == set(card.genes)
    scores = card.held_out[card.genes[0]]
    assert scores["low"] <= scores["r"] <= scores["high"]
    assert card.settings["inner_split"] == "section"
    assert tuple(card.settings["radii"]) in REACHES


def test_the_same_seed_gives_the_same_predictor(fitted, cohort, unseen):
    again = Predictor(**QUICK).fit_encoded(cohort)
    np.testing.assert_array_equal(predicted(fitted, unseen), predicted(again, unseen))
    assert again.card.sha256 == fitted.card.sha256


def test_save_and_load_keep_every_prediction(fitted, unseen, tmp_path):
    written = fitted.save(tmp_path / "model")
    loaded = Predictor.load(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(predicted(fitted, unseen), predicted(loaded, unseen))
    assert loaded.card == written
    assert written.sha256 == fitted.card.sha256


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card["settings"].update(width=10**9),
        lambda card: card["settings"].update(members_kept=0),
        lambda card: card["settings"].update(width=64),
        lambda card: card["settings"].pop("blend"),
        lambda card: card["settings"].update(colour="blue"),
        lambda card: card["genes"].pop(),
    ],
)
def test_cards_that_do_not_fit_the_weights_are_refused(fitted, tmp_path, change):
    fitted.save(tmp_path / "model")
    path = tmp_path / "model" / "card.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError):
        Predictor.load(tmp_path / "model")


def test_weights_of_another_network_are_refused(fitted):
    tensors = to_tensors(fitted.fitted)
    from_tensors(tensors, fitted.card)
    with pytest.raises(ModelError, match=r"network0\.spot_branch\.looks"):
        from_tensors({**tensors, "network0.spot_branch.looks.bias": np.zeros(3, np.float32)}, fitted.card)


def test_published_variant_runs_and_repeats(cohort, unseen, tmp_path):
    settings = {**QUICK, "epochs": 3, "heads": 2}
    first, second = (Predictor("published", **settings).fit_encoded(cohort) for _ in range(2))
    np.testing.assert_array_equal(predicted(first, unseen), predicted(second, unseen))
    assert first.card.settings["blend"]["retrieval"] == pytest.approx(0.4)
    first.save(tmp_path / "model")
    np.testing.assert_array_equal(
        predicted(first, unseen), predicted(Predictor.load(tmp_path / "model", device="cpu"), unseen)
    )


def test_a_single_section_is_validated_in_halves(make_section):
    predictor = Predictor(**{**QUICK, "epochs": 2}).fit_encoded([make_section("S1")])
    assert predictor.card.settings["inner_split"] == "half of the section"


def test_predictions_do_not_depend_on_the_order_of_tiles(fitted, unseen):
    order = np.random.default_rng(0).permutation(len(unseen.features))
    shuffled = fitted.predict_encoded(unseen.features[order], unseen.centres_um[order])
    np.testing.assert_allclose(shuffled, predicted(fitted, unseen)[order], atol=1e-3)


def test_few_tiles_are_read_in_the_training_units(fitted, unseen):
    assert fitted.predict_encoded(unseen.features[:1], unseen.centres_um[:1]).shape == (1, 40)


def test_depth_does_not_move_the_model(cohort, unseen, fitted):
    deeper = [replace(section, counts=section.counts * 7) for section in cohort]
    again = Predictor(**QUICK).fit_encoded(deeper)
    np.testing.assert_allclose(predicted(again, unseen), predicted(fitted, unseen), atol=2e-2)


def test_cancelling_stops_training(cohort):
    progress = Progress(lambda step: progress.cancel() if step.done >= 1 else None)
    with pytest.raises(Cancelled):
        Predictor(**QUICK).fit_encoded(cohort, progress=progress)


def test_unfitted_predictors_say_so(unseen, tmp_path):
    for use in (lambda p: predicted(p, unseen), lambda p: p.save(tmp_path / "m"), lambda p: p.card):
        with pytest.raises(ModelError, match="learned nothing"):
            use(Predictor())


def test_descriptors_of_another_encoder_are_refused(fitted, unseen):
    with pytest.raises(ModelError, match="do not fit a model of 20 descriptors"):
        fitted.predict_encoded(unseen.features[:, :5], unseen.centres_um)


def test_missing_descriptors_never_become_zeros(fitted, unseen):
    features = unseen.features.copy()
    features[3, 3] = np.nan
    with pytest.raises(SectionError, match="not finite"):
        fitted.predict_encoded(features, unseen.centres_um)
    with pytest.raises(SectionError, match="not finite"):
        replace(unseen, features=features)


def test_nan_counts_are_refused(make_section):
    section = make_section()
    section.counts.data[0] = np.nan
    with pytest.raises(TableError, match="not numbers"):
        Predictor(**QUICK).fit_encoded([section])


def test_sections_must_differ_in_name(make_section):
    with pytest.raises(SectionError, match="same name"):
        Predictor(**QUICK).fit_encoded([make_section("S1"), make_section("S1")])


def test_no_section_is_refused():
    with pytest.raises(SettingError, match="no section"):
        Predictor().fit_encoded([])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"variant": "best"}, "no such variant"),
        ({"epoch": 3}, "no such setting"),
        ({"epochs": 0}, "epochs is 0"),
        ({"dropout": 1.0}, "out of range"),
        ({"radii": (-1,)}, "context radius"),
        ({"width": 30, "heads": 4}, "cannot be shared"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        Predictor(**settings)


def test_absent_devices_are_named(make_section):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(SettingError, match="this device is not here"):
        Predictor(device="cuda").fit_encoded([make_section()])
    with pytest.raises(SettingError, match="no such device"):
        Predictor(device="abacus").fit_encoded([make_section()])
