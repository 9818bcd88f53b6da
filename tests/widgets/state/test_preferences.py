"""Preferences as napari keeps them: their defaults, what follows them, and a damaged file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from histoscribe.slide.cache import PIXELS
from histoscribe.widgets.layers.view_state import COLOUR_MAPS
from histoscribe.widgets.napari_private.probe import PLUGIN
from histoscribe.widgets.state.preferences import (
    Preferences,
    follow_memory,
    preferences,
    recent_models,
    remember_model,
)
from histoscribe.widgets.state.state import state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]


@pytest.fixture
def settings(plugin_settings: None, registered: None) -> Any:
    """The plugin's settings in a file of the test's own."""
    from napari.settings import get_plugin_settings

    return get_plugin_settings(PLUGIN)


def test_the_manifests_defaults_are_those_without_napari(settings: Any) -> None:
    assert preferences() == Preferences()


def test_without_the_plugin_the_defaults_hold(npe2pm: Any) -> None:
    assert preferences() == Preferences()


def test_every_colour_map_offered_is_known(settings: Any) -> None:
    schema = settings.painting.model_json_schema()
    assert tuple(schema["properties"]["colour_map"]["enum"]) == COLOUR_MAPS


def test_a_new_viewer_starts_with_the_preferred_colours(settings: Any) -> None:
    from napari.components import ViewerModel

    settings.painting.colour_map = "cividis"
    assert state_of(ViewerModel()).colour_map == "cividis"


def test_memory_is_bounded_now_and_when_it_changes(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[int] = []
    monkeypatch.setattr(PIXELS, "bound", bounds.append)
    settings.running.memory_gb = 2.0
    follow_memory()
    follow_memory()
    settings.running.memory_gb = 1.5
    assert bounds == [2 * 2**30, 2 * 2**30, 3 * 2**29]


def test_models_of_the_folder_are_offered_after_those_used(settings: Any, tmp_path: Path) -> None:
    for name in ("models/a", "models/b", "used"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "card.json").write_text("{}")
    settings.running.model_folder = str(tmp_path / "models")
    remember_model(tmp_path / "used")
    remember_model(tmp_path / "models" / "b")
    names = [path.name for path in recent_models()]
    assert names == ["b", "used", "a"]


def test_the_panel_takes_the_preferred_device(settings: Any, make_napari_viewer_proxy: Any) -> None:
    settings.running.device = "cpu"
    viewer = make_napari_viewer_proxy()
    _, panel = viewer.window.add_plugin_dock_widget(PLUGIN, "Predict")
    assert panel.device.value == "cpu"


def test_preferences_are_kept(settings: Any) -> None:
    from napari.settings import _clear_plugin_settings_cache

    settings.running.device = "cpu"
    _clear_plugin_settings_cache()
    assert preferences().device == "cpu"


def test_napari_s_dialog_offers_them(settings: Any, qtbot: Any) -> None:
    from napari._qt.dialogs.preferences_dialog import PreferencesDialog
    from qtpy.QtWidgets import QComboBox, QLabel

    dialog = PreferencesDialog()
    qtbot.addWidget(dialog)
    words = {label.text() for label in dialog.findChildren(QLabel)}
    assert {"Device", "Model folder", "Colour map"} <= {one.strip("*: ") for one in words}, words
    offered = [
        [box.itemText(place) for place in range(box.count())] for box in dialog.findChildren(QComboBox)
    ]
    assert list(COLOUR_MAPS) in offered
