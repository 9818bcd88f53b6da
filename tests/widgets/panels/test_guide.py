"""The guide ticks what is done, and its buttons do what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import Qt

from histoscribe.widgets.layers.painting import spot_layers
from histoscribe.widgets.napari_private.probe import PLUGIN
from histoscribe.widgets.panels.guide import panel as guide
from histoscribe.widgets.panels.guide.panel import STEPS
from histoscribe.widgets.state.preferences import recent_models

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]


def ticked(panel: Any) -> list[bool]:
    return [tick.text() == "✓" for tick in panel.ticks]


def test_the_sample_opens_a_section_and_the_guide(window: Any) -> None:
    window.open_sample(PLUGIN, "first_steps")
    assert len(spot_layers(window)) == 1
    assert any("First steps" in str(name) for name in window.window.dock_widgets)


def test_steps_are_ticked_as_they_are_done(window: Any, qtbot: Any) -> None:
    _, panel = window.window.add_plugin_dock_widget(PLUGIN, "First steps")
    assert not any(ticked(panel))
    assert len(panel.buttons) == len(STEPS)
    panel.buttons[0].click()
    assert ticked(panel)[0]
    panel.buttons[3].click()
    _, genes = window.window.add_plugin_dock_widget(PLUGIN, "Genes")
    genes.search.setText(genes.genes.shown[0])
    qtbot.keyClick(genes.search, Qt.Key.Key_Return)
    assert ticked(panel)[3]
    panel.buttons[5].click()
    assert not ticked(panel)[5]
    window.layers[-1].add_polygons([[0, 0], [0, 9], [9, 9]])
    assert ticked(panel)[5]
    for button in (2, 4, 6):
        panel.buttons[button].click()
    assert len(window.window.dock_widgets) >= 5


def test_a_model_is_trained_on_other_patients(
    window: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = {"epochs": 1, "members": 1, "components": 8, "rank": 4, "width": 16, "heads": 2}
    monkeypatch.setattr(guide, "MODEL", quick)
    monkeypatch.setattr(guide, "models_folder", lambda: tmp_path)
    _, panel = window.window.add_plugin_dock_widget(PLUGIN, "First steps")
    panel.buttons[1].click()
    assert not panel.buttons[1].isEnabled()
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=60_000)
    assert ticked(panel)[1]
    (folder,) = recent_models()
    from histoscribe.models import read_card

    assert "P3" not in read_card(folder).patients
    _, predict = window.window.add_plugin_dock_widget(PLUGIN, "Predict")
    assert predict.model.folder != folder
    panel.buttons[2].click()
    assert predict.model.folder == folder
