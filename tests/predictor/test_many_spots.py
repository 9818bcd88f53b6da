"""More spots than are held at once: in blocks, windows, bounded galleries, and stopped on the way."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from histoscribe import rows
from histoscribe.errors import Cancelled
from histoscribe.predictor import EncodedSection, Predictor, panel_expression
from histoscribe.predictor.ensemble import gene_correlation
from histoscribe.predictor.inputs import InputSpace
from histoscribe.predictor.settings import PredictorSettings
from histoscribe.predictor.training import batches, fitting, learning
from histoscribe.progress import Progress, Step

QUICK = {"panel_size": 20, "epochs": 6, "members": 2, "width": 32, "components": 8, "device": "cpu"}


@pytest.fixture(scope="module")
def sections(make_section) -> list[EncodedSection]:
    return [make_section(f"S{n}", patient=f"P{n // 2}", seed=n, side=8 + n) for n in range(4)]


@pytest.fixture(scope="module")
def new(make_section) -> EncodedSection:
    return make_section("new", seed=9)


@pytest.fixture(scope="module")
def whole(sections) -> Predictor:
    return Predictor(**QUICK).fit_encoded(sections)


def told_by(predictor: Predictor, section: EncodedSection) -> np.ndarray:
    return predictor.predict_encoded(section.features, section.centres_um)


def test_blocks_learn_what_the_whole_teaches(sections, new, whole, monkeypatch):
    monkeypatch.setattr(fitting, "_BLOCK_VALUES", 1)
    monkeypatch.setattr(batches, "_MOST_KEPT", 1)
    parts = Predictor(**QUICK).fit_encoded(sections)
    assert len(fitting.InputBlocks(sections, whole.fitted.space, 60)) > 1
    np.testing.assert_allclose(told_by(parts, new), told_by(whole, new), atol=2e-2)
    np.testing.assert_allclose(parts.fitted.ridge, whole.fitted.ridge, atol=1e-5)


def test_tables_on_disk_teach_the_very_same(sections, new, whole, monkeypatch):
    monkeypatch.setattr(rows, "_MOST_HELD", 100)
    made: list[batches.TrainingSpots] = []

    class Watched(batches.SpotBatches):
        def __init__(self, spots, *others, **settings):
            made.extend(spots)
            super().__init__(spots, *others, **settings)

    monkeypatch.setattr(fitting, "SpotBatches", Watched)
    held = Predictor(**QUICK).fit_encoded(sections)
    assert made
    assert all(isinstance(table, rows.Rows) for spots in made for table in (spots.features, spots.expression))
    np.testing.assert_array_equal(told_by(held, new), told_by(whole, new))


def test_spots_that_are_clustered_hold_no_others(monkeypatch):
    import sklearn.cluster  # noqa: F401 - what it holds is not counted

    monkeypatch.setattr(fitting, "_MOST_CLUSTERED", 100)
    random = np.random.default_rng(0)
    places = np.argwhere(np.ones((20, 25))) * 100.0
    many = [
        EncodedSection(
            name=f"S{number}", patient="P", features=random.normal(size=(500, 200)).astype(np.float32),
            centres_um=places, pitch_um=100.0, counts=np.ones((500, 3)), genes=["a", "b", "c"],
        )
        for number in range(40)
    ]  # fmt: skip
    space = InputSpace.learned(many, (), ("section",))
    tracemalloc.start()
    try:
        types = fitting._spot_types(many, space, PredictorSettings(), 0)
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(types) == 40 * 500
    assert held < sum(section.features.nbytes for section in many) / 2


def test_a_bounded_gallery_names_the_spots_that_it_kept(sections, new, whole):
    some = Predictor(**QUICK, gallery_spots=60).fit_encoded(sections)
    names = some.card.settings["gallery"]
    assert len(some.fitted.values) == len(names["spot"]) == len(some.fitted.keys[0]) == 60
    expressed = {
        (section.name, spot): values
        for section in sections
        for spot, values in zip(section.spots, panel_expression(section, some.genes), strict=True)
    }
    kept = zip(names["section"], names["spot"], some.fitted.values, strict=True)
    r = [np.corrcoef(values, expressed[section, spot])[0, 1] for section, spot, values in kept]
    assert np.median(r) > 0.9
    truth = panel_expression(new, some.genes)
    lost = gene_correlation(told_by(whole, new), truth) - gene_correlation(told_by(some, new), truth)
    assert lost.mean() < 0.05


def test_choices_are_made_on_windows_of_every_patient(make_section, monkeypatch):
    monkeypatch.setattr(learning, "_MOST_SHOWN", 100)
    monkeypatch.setattr(learning, "_LEAST_WINDOW", 20)
    sections = [make_section(f"S{n}", patient=f"P{n % 3}", seed=n) for n in range(9)]
    shown = learning.bounded_share(sections, seed=0)
    assert sum(len(section.spots) for section in shown) == 100
    assert Counter(section.patient for section in shown).keys() == {"P0", "P1", "P2"}
    for section in shown:
        assert section.slide is not None  # still measured in units of the whole section
        assert np.ptp(section.centres_um, axis=0).max() <= 600
    assert learning.bounded_share(sections[:1], seed=0) == sections[:1]


@pytest.mark.slow
def test_a_stopped_training_goes_on_where_it_was(sections, new, whole, tmp_path: Path):
    seen: list[Step] = []

    def stop(step: Step) -> None:
        seen.append(step)
        if step.message == "training, network 2 of 2" and step.done == 3:
            progress.cancel()

    progress = Progress(stop)
    with pytest.raises(Cancelled):
        Predictor(**QUICK).fit_encoded(sections, checkpoint=tmp_path, progress=progress)
    again: list[Step] = []
    gone_on = Predictor(**QUICK).fit_encoded(sections, checkpoint=tmp_path, progress=Progress(again.append))
    starts = {step.message: step.done for step in reversed(again) if step.message.startswith("training")}
    assert starts == {"training, network 2 of 2": 3}  # and the first is not trained again
    np.testing.assert_array_equal(told_by(gone_on, new), told_by(whole, new))
    other = Predictor(**QUICK, seed=1).fit_encoded(sections, checkpoint=tmp_path)
    assert not np.array_equal(told_by(other, new), told_by(whole, new))


@pytest.mark.slow
def test_two_processes_learn_as_well_as_one(sections, new, whole):
    truth = panel_expression(new, whole.genes)
    two = Predictor(**QUICK, batch_spots=64).fit_encoded(sections, devices=2)
    r = [gene_correlation(told_by(model, new), truth).mean() for model in (whole, two)]
    assert abs(r[0] - r[1]) < 0.05
