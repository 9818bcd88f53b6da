"""What a window draws and which panels hear while a layer is added step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Points
from qtpy.QtWidgets import QApplication, QWidget

from histoscribe.widgets.canvas import added_in_turns, canvas_of, undrawn

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]


class Panel(QWidget):
    """Counts how often it is told of a change."""

    told = 0

    def reset_choices(self, event: object = None) -> None:
        self.told += 1


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
    told, layer = panel.told, Points(np.zeros((3, 2)))
    seen = []
    for _ in added_in_turns(viewer, layer):
        active = viewer.layers.selection.active
        assert controls.currentWidget() is controls.widgets[active]
        seen.append((layer in viewer.layers, active is layer, panel.told - told))
    assert seen == [(False, False, 0), (True, False, 0), (True, True, 0)]
    assert panel.told == told + 1
    assert list(viewer.layers) == [before, layer]
    assert controls.currentWidget() is controls.widgets[layer]
    assert controls.count() == 3  # of both layers, and napari's empty one


def test_the_next_layer_is_added_as_ever(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    panel = docked(viewer)
    for _ in added_in_turns(viewer, Points(np.zeros((3, 2)))):
        pass
    told = panel.told
    layer = viewer.add_points(np.zeros((1, 2)))
    assert viewer.layers.selection.active is layer
    assert panel.told == told + 1


def test_a_layer_removed_between_turns_is_not_selected(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    kept = viewer.add_points(np.zeros((1, 2)))
    layer = Points(np.zeros((3, 2)))
    turns = added_in_turns(viewer, layer)
    while layer not in viewer.layers:
        next(turns)
    viewer.layers.remove(layer)
    assert list(turns) == []
    assert viewer.layers.selection.active is kept
    assert layer not in viewer.window._qt_viewer.controls.widgets


def test_a_panel_closed_between_turns_is_not_told(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    panel = docked(viewer)
    told = panel.told
    turns = added_in_turns(viewer, Points(np.zeros((3, 2))))
    next(turns)
    viewer.window.remove_dock_widget(panel)
    for _ in turns:
        pass
    assert panel.told == told


def test_without_a_window_all_goes_on() -> None:
    viewer, layer = ViewerModel(), Points(np.zeros((1, 2)))
    with undrawn(viewer):
        assert list(added_in_turns(viewer, layer)) == [None]
    assert viewer.layers.selection.active is layer
    assert canvas_of(viewer) is None
