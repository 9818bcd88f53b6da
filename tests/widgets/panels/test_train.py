"""The Train panel: open sections or a dropped cohort, honest scores, a model for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent

from histoscribe.models import read_card
from histoscribe.section import Section
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.panels.train import training
from histoscribe.widgets.panels.train.training import held_out_words

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    from histoscribe.simulate import simulate_section

    return [simulate_section(seed, name=f"K{seed}", genes=20, size_um=600) for seed in (1, 2, 3)]


@pytest.fixture
def panel(panel_for: Callable[[str], Any], quick_training: None) -> Any:
    return panel_for("Train")


def test_a_model_is_learned_from_open_sections_and_offered_everywhere(
    viewer: Any,
    panel_for: Callable[[str], Any],
    panel: Any,
    sections: list[Section],
    qtbot: Any,
    tmp_path: Path,
) -> None:
    predict, chosen = panel_for("Predict"), panel_for("Predict")
    assert not panel.run_button.isEnabled()
    show(viewer, sections)
    assert [one.name for one in panel.marked] == ["K1", "K2", "K3"]
    assert "each of 3 patients" in panel.split.text()
    panel.table.setData(panel.table.index(2, 1), sections[1].patient)
    assert "fewer than three patients" in panel.split.text()
    panel.table.setData(panel.table.index(2, 1), "somebody else")
    panel.name.value, panel.tissue.value, panel.genes.value = "lung", "lung tumour", 12
    panel.run_button.click()
    chosen.model.known.value = chosen.model.known.values[1]
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=300_000)
    said = panel.words.text()
    assert said.count("Held out K") == 3
    assert "median r of the genes" in said
    assert "Lung tumour" in said
    folder = tmp_path / "models" / "lung"
    card = read_card(folder)
    assert (card.tissue, len(card.genes), card.settings["inner_split"]) == ("lung tumour", 12, "patient")
    assert card.patients == (sections[0].patient, sections[1].patient, "somebody else")
    for name in ("Predict", "Evidence"):
        other = panel_for(name)
        model = other.model if name == "Predict" else other.trace.model
        assert folder in model.known.values
    assert panel_for("Predict").model.folder == folder
    assert predict.model.folder == folder
    assert predict.model.words.value.startswith("Trained just now")
    assert folder in chosen.model.known.values
    assert chosen.model.folder != folder  # somebody chose another meanwhile


def test_sections_that_state_no_patient_are_not_called_new_patients(
    viewer: Any, panel: Any, make_section: Callable[..., Section]
) -> None:
    show(viewer, [replace(make_section(name), patient=name) for name in ("A", "BB", "CCC")])
    assert "3 of 3 sections say no patient" in panel.split.text()
    for row, patient in enumerate(("P1", "P2", "P3")):
        panel.table.setData(panel.table.index(row, 1), patient)
    assert "each of 3 patients" in panel.split.text()


def test_a_dropped_cohort_is_learned_from_and_can_be_stopped(
    viewer: Any, panel: Any, qtbot: Any, tmp_path: Path
) -> None:
    cohort = tmp_path / "cohort.csv"
    cohort.write_text("section,patient,path\nA,P,a.h5ad\n")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(cohort))])
    left, no = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    panel.dropEvent(QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, data, left, no))
    assert panel.source.value == "cohort"
    assert panel.request().cohort == cohort
    panel.run_button.click()
    panel.tasks.cancel()
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=30_000)
    assert not (tmp_path / "models").exists()


def test_a_stopped_training_goes_on_to_the_same_digits(
    viewer: Any, panel: Any, panel_for: Callable[[str], Any], sections: list[Section], qtbot: Any
) -> None:
    show(viewer, sections[:2])
    panel.name.value, panel.genes.value = "stopped", 12
    panel.table.setData(panel.table.index(1, 1), "Mrs B")
    panel.heard.connect(panel.tasks.cancel)
    panel.run_button.click()
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=300_000)
    kept = training.kept_state(panel.request().folder)
    assert list(kept.rglob("*.ckpt"))
    again = panel_for("Train")  # as after a crash, from the session
    again.restore(panel.values())
    again.take_back(panel.kept())
    assert (again.run_button.text(), panel.run_button.text()) == ("Resume", "Resume")
    again.run_button.click()
    qtbot.waitUntil(lambda: not again.tasks.running, timeout=300_000)
    stopped = read_card(again.request().folder)
    assert not kept.exists()
    assert "Mrs B" in stopped.patients
    again.name.value = "whole"
    assert again.run_button.text() == "Train"
    again.run_button.click()
    qtbot.waitUntil(lambda: not again.tasks.running, timeout=300_000)
    assert read_card(again.request().folder).sha256 == stopped.sha256


def test_what_cannot_work_is_refused_before_anything_is_loaded(
    viewer: Any, panel: Any, make_section: Callable[..., Section]
) -> None:
    show(viewer, [make_section("A1")])
    panel.name.value = "a/b"
    panel.start()
    assert "without slashes" in notification_manager.records[-1].message
    panel.name.value = "fine"
    panel.list.clearSelection()
    assert not panel.run_button.isEnabled()
    panel.start()
    assert "nothing to learn from" in notification_manager.records[-1].message
    assert "halves" in held_out_words(1, 1, 0)
