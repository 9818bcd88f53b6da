"""Keys do in the canvas what they say, and take none of napari's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from histoscribe.section import Section
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers.arrangement import is_side_by_side
from histoscribe.widgets.layers.layers import section_of, slide_of
from histoscribe.widgets.layers.painting import spot_layers
from histoscribe.widgets.parts.shortcuts import SHORTCUTS, install_shortcuts
from histoscribe.widgets.state.state import state_of

MakeSection = Callable[..., Section]


@pytest.fixture
def shown(viewer: Any, make_section: MakeSection) -> Any:
    measured = make_section("A1")
    predicted = make_section("A1", "predicted", slide=measured.slide)
    predicted.table.var["held_out_r"] = [0.1, 0.5, 0.3, 0.2, 0.4]
    show(viewer, [measured, predicted])
    return viewer


def press(viewer: Any, key: str) -> None:
    SHORTCUTS[key][1](viewer)


def test_no_key_is_napari_s_own(viewer: Any) -> None:
    from app_model.types import KeyBinding
    from napari.settings import get_settings

    def code(key: Any) -> int:
        return KeyBinding.from_str(str(key)).to_int()

    taken = {code(key) for keys in get_settings().shortcuts.shortcuts.values() for key in keys}
    assert not taken & {code(key) for key in SHORTCUTS}


def test_all_keys_are_bound_and_may_be_bound_again(viewer: Any) -> None:
    install_shortcuts(viewer)
    install_shortcuts(viewer)
    actions = set(viewer.keymap.values())
    assert actions >= {action for _, action in SHORTCUTS.values()}


def test_napari_can_look_for_what_a_held_key_repeats(viewer: Any) -> None:
    from napari.utils.action_manager import action_manager

    install_shortcuts(viewer)
    assert isinstance(action_manager._get_repeatable_shortcuts(viewer.keymap), list)


def test_objectives_have_keys(shown: Any) -> None:
    for key, zoom in (("Alt+1", 0.5), ("Alt+2", 1), ("Alt+3", 2), ("Alt+4", 4)):
        press(shown, key)
        assert shown.scene.camera.zoom == zoom
    assert shown.status == "40×: a pixel of the screen is 0.25 µm"


def test_genes_follow_by_reliability_and_pinned_ones_go_first(shown: Any) -> None:
    state = state_of(shown)
    assert state.gene == "ERBB2"
    press(shown, "Shift+Right")
    assert state.gene == "MKI67"
    press(shown, "Shift+Left")
    press(shown, "Shift+Left")
    assert state.gene == "EPCAM"
    state.pin("CD3E")
    state.pin("COL1A1")
    press(shown, "Shift+Right")
    assert state.gene == "CD3E"


def test_tissue_and_spots_go_and_come(shown: Any) -> None:
    def visible(kind: Callable[[Any], Any]) -> list[bool]:
        return [layer.visible for layer in shown.layers if kind(layer) is not None]

    for key, kind in (("Shift+H", slide_of), ("Shift+S", section_of)):
        press(shown, key)
        assert not any(visible(kind))
        press(shown, key)
        assert all(visible(kind))


def test_panes_and_turns(shown: Any) -> None:
    assert is_side_by_side(shown)
    press(shown, "Shift+B")
    assert not is_side_by_side(shown)
    press(shown, "Shift+M")
    assert [layer.visible for layer in spot_layers(shown)] == [True, False]
    press(shown, "Shift+M")
    assert [layer.visible for layer in spot_layers(shown)] == [False, True]


def test_on_nothing_they_do_nothing(viewer: Any) -> None:
    for key in ("Shift+Right", "Shift+Left", "Shift+H", "Shift+S", "Shift+M", "Shift+B"):
        press(viewer, key)


@pytest.mark.viewer
def test_the_search_field_is_reached_by_its_key(
    make_napari_viewer_proxy: Any, npe2pm: Any, section: Section
) -> None:
    from npe2 import PluginManifest

    npe2pm.register(PluginManifest.from_distribution("napari-histoscribe"), warn_disabled=False)
    window = make_napari_viewer_proxy()
    show(window, [section])
    press(window, "Shift+G")
    press(window, "Shift+E")
    titles = {str(name) for name in window.window.dock_widgets}
    assert any("Genes" in title for title in titles)
    assert any("Export" in title for title in titles)
