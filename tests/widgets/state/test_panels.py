"""A panel is there once, whoever opens it."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtWidgets import QApplication

from histoscribe.widgets.napari_private.probe import PLUGIN
from histoscribe.widgets.napari_private.window import panels_of, unwrapped
from histoscribe.widgets.parts.shortcuts import SHORTCUTS, find_gene
from histoscribe.widgets.state.state import open_panel

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]


@pytest.fixture
def window(make_napari_viewer_proxy: Any, registered: None) -> Any:
    return make_napari_viewer_proxy(show=True)


def from_the_menu(window: Any, name: str) -> None:
    plugins = window.window.plugins_menu
    (ours,) = [one.menu() for one in plugins.actions() if one.text() == "Histoscribe"]
    (entry,) = [one for one in ours.actions() if one.text() == f"{name} (Histoscribe)"]
    entry.trigger()
    QApplication.processEvents()


def test_the_menu_knows_what_a_key_opened(window: Any) -> None:
    find_gene(unwrapped(window))
    QApplication.processEvents()
    panel = panels_of(window)["Genes"]
    assert panel.isVisible()
    from_the_menu(window, "Genes")
    assert len(window.window.dock_widgets) == 1
    assert not panel.isVisible()
    find_gene(unwrapped(window))
    assert len(window.window.dock_widgets) == 1
    assert panel.isVisible()


def test_a_key_knows_what_the_menu_opened(window: Any) -> None:
    from_the_menu(window, "Export")
    SHORTCUTS["Shift+E"][1](unwrapped(window))
    assert len(window.window.dock_widgets) == 1


def test_what_napari_s_own_call_opened_is_known(window: Any) -> None:
    window.window.add_plugin_dock_widget(PLUGIN, "Genes")
    find_gene(unwrapped(window))
    assert len(window.window.dock_widgets) == 1


def test_an_unknown_panel_is_none(window: Any) -> None:
    with pytest.raises(KeyError):
        open_panel(unwrapped(window), "Fortune telling")
