"""What a window draws and which panels hear while a layer is added step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication, QWidget

from histoscribe.widgets.canvas import canvas_of, undrawn, unheard

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]


class Panel(QWidget):
    """Counts how often it is told of a change."""

    told = 0

    def reset_choices(self, event: object = None) -> None:
        self.told += 1


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


def test_panels_hear_of_a_layer_afterwards(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    panel = Panel()
    viewer.window.add_dock_widget(panel, name="panel")
    told = panel.told
    with unheard(viewer) as panels:
        viewer.add_points(np.zeros((1, 2)))
    assert panel in panels
    assert panel.told == told
    viewer.add_points(np.zeros((1, 2)))
    assert panel.told == told + 1


def test_without_a_window_all_goes_on() -> None:
    viewer = ViewerModel()
    with undrawn(viewer), unheard(viewer) as panels:
        viewer.add_points(np.zeros((1, 2)))
    assert panels == []
    assert canvas_of(viewer) is None
