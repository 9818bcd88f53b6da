"""What a window draws and which panels hear while a layer is added step by step."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication, QWidget

from histoscribe.widgets.layers.layers import LayerData
from histoscribe.widgets.napari_private.window import added_in_turns, canvas_of, undrawn

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]


class Panel(QWidget):
    """Counts how often it is told of a change."""

    told = 0

    def reset_choices(self, event: object = None) -> None:
        self.told += 1


def spots(count: int) -> LayerData:
    return np.zeros((count, 2)), {}, "points"


def docked(viewer: Any) -> Panel:
    panel = Panel()
    viewer.window.add_dock_widget(panel, name="panel")
    return panel


def test_nothing_is_drawn_meanwhile_and_once_afterwards(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer(show=True)
    QApplication.processEvents()
    draws: list[int] = []
    viewer.window._qt_viewer.canvas._scene_canvas.events.draw.connect(lambda _: draws.append(1))
    with undrawn(viewer):
        for _ in range(3):
            viewer.add_points(np.zeros((1, 2)))
            QApplication.processEvents()
        assert draws == []
    QApplication.processEvents()
    assert 1 <= len(draws) <= 2


def test_a_layer_is_added_in_turns(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    controls = viewer.window._qt_viewer.controls
    before = viewer.add_points(np.zeros((1, 2)))
    panel = docked(viewer)
    told = panel.told
    turns, seen = added_in_turns(viewer, spots(3)), []
    with suppress(StopIteration):
        while True:
            next(turns)
            active = viewer.layers.selection.active
            assert controls.currentWidget() is controls.widgets[active]
            seen.append((len(viewer.layers), active is before, panel.told - told))
    assert seen == [(1, True, 0), (1, True, 0), (2, True, 0), (2, False, 0)]
    assert panel.told == told + 1
    layer = viewer.layers[1]
    assert viewer.layers.selection.active is layer
    assert controls.currentWidget() is controls.widgets[layer]
    assert controls.count() == 3  # of both layers, and napari's empty one


def test_the_next_layer_is_added_as_ever(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    panel = docked(viewer)
    for _ in added_in_turns(viewer, spots(3)):
        pass
    told = panel.told
    layer = viewer.add_points(np.zeros((1, 2)))
    assert viewer.layers.selection.active is layer
    assert panel.told == told + 1


def test_a_layer_removed_between_turns_is_not_selected(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    kept = viewer.add_points(np.zeros((1, 2)))
    turns = added_in_turns(viewer, spots(3))
    while len(viewer.layers) < 2:
        next(turns)
    layer = viewer.layers.pop()
    assert list(turns) == []
    assert viewer.layers.selection.active is kept
    assert layer not in viewer.window._qt_viewer.controls.widgets


def test_controls_made_ahead_go_where_the_layer_never_comes(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    controls = viewer.window._qt_viewer.controls
    turns = added_in_turns(viewer, spots(3))
    while not controls.widgets:
        next(turns)
    turns.close()
    assert not controls.widgets
    assert controls.count() == 1
    assert not viewer.layers


def test_a_panel_closed_between_turns_is_not_told(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    panel = docked(viewer)
    told = panel.told
    turns = added_in_turns(viewer, spots(3))
    while not viewer.layers:
        next(turns)
    viewer.window.remove_dock_widget(panel)
    for _ in turns:
        pass
    assert panel.told == told


def test_without_a_window_all_goes_on() -> None:
    viewer = ViewerModel()
    with undrawn(viewer):
        assert list(added_in_turns(viewer, spots(1))) == [None, None]
    assert viewer.layers.selection.active is viewer.layers[0]
    assert canvas_of(viewer) is None
