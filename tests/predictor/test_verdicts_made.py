"""Verdicts of one model on slides made for it: its own section, a new patient, coarse, foreign, bare."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from histoscribe.errors import ModelError, SlideError
from histoscribe.predictor import Predictor
from histoscribe.record import record_of
from histoscribe.simulate import simulate_section
from histoscribe.slide import open_slide

pytestmark = pytest.mark.slow

SIZE = 1100.0


@pytest.fixture(scope="module")
def training():
    return [simulate_section(seed, size_um=SIZE, genes=60) for seed in (1, 2)]


@pytest.fixture(scope="module")
def model(training):
    return Predictor(seed=0, device="cpu", panel_size=20, epochs=2).fit(
        training, encoder="builtin", crops=False
    )


def verdict(predicted):
    found = record_of(predicted.table).verdict
    assert found is not None
    return found


def changed(section, tmp_path, change):
    """The section on its slide with other pixels."""
    pixels = np.asarray(section.slide.levels[0].pixels[:])
    Image.fromarray(change(pixels)).save(tmp_path / "changed.png")
    return replace(
        section, name="other", patient="other", slide=open_slide(tmp_path / "changed.png", mpp=section.mpp)
    )


def coarser(times):
    def change(pixels):
        image = Image.fromarray(pixels)
        small = image.resize((image.width // times, image.height // times), Image.Resampling.BOX)
        return np.asarray(small.resize(image.size, Image.Resampling.BICUBIC))

    return change


def negative(pixels):
    return np.roll(255 - pixels, 1, axis=2)


def test_its_own_section_whatever_it_is_called(model, training):
    assert verdict(model.predict(training[0])).kind == "training"
    renamed = replace(training[0], name="renamed", patient="nobody")
    assert verdict(model.predict(renamed)).kind == "training"


def test_five_times_coarser_is_too_coarse_and_widens(model, training, tmp_path):
    section = training[0]
    predicted = model.predict(changed(section, tmp_path, coarser(5)))
    found = verdict(predicted)
    assert found.kind in ("coarse", "unlike")
    assert found.fineness > 2
    assert "times coarser" in found.sentence
    plain = model.predict(replace(section, name="other", patient="other"))
    assert np.mean(predicted.table.layers["high"]) > 0
    assert verdict(plain).fineness < 1.3


def test_a_foreign_picture_is_unlike(model, training, tmp_path):
    found = verdict(model.predict(changed(training[0], tmp_path, negative)))
    assert found.kind == "unlike"
    assert found.withheld


def test_far_too_coarse_is_refused(model, training, tmp_path):
    with pytest.raises(ModelError, match="coarser than what this model learned from"):
        model.predict(changed(training[0], tmp_path, coarser(24)))


def test_bare_glass_is_refused(model, tmp_path):
    Image.new("RGB", (900, 900), (246, 245, 247)).save(tmp_path / "glass.png")
    with pytest.raises(SlideError, match="no tissue"):
        model.predict(open_slide(tmp_path / "glass.png", mpp=1.0))


def test_one_patient_has_no_score_for_a_new_one():
    single = Predictor(seed=0, device="cpu", panel_size=10, epochs=1).fit(
        [simulate_section(1, size_um=SIZE, genes=60)], encoder="builtin", crops=False
    )
    score = single.card.held_out[single.genes[0]]
    assert score["new"] is None
    assert score["same"]["r"] == score["r"]
    table = single.predict(simulate_section(3, size_um=SIZE, genes=60)).table
    assert table.var["held_out_r"].isna().all()
