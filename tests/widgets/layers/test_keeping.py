"""What people do to layers with mouse and keys, and what holds all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from histoscribe.section import Section
from histoscribe.widgets.contributions.launch import PLUGIN, show
from histoscribe.widgets.layers.layers import slide_of
from histoscribe.widgets.layers.painting import paint, spot_layers
from histoscribe.widgets.layers.regions import class_colours, classes_in
from histoscribe.widgets.state.state import state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]

TRIANGLE = np.array([[20, 20], [20, 180], [95, 180]], float)


@pytest.fixture
def window(make_napari_viewer_proxy: Any, make_section: Callable[..., Section], registered: None) -> Any:
    window = make_napari_viewer_proxy(show=True)
    show(window, [make_section()])
    return window


def told() -> list[str]:
    return [record.message for record in notification_manager.records]


def test_spots_cannot_be_deleted_added_moved_or_pasted(window: Any, qtbot: Any) -> None:
    from qtpy.QtCore import Qt

    from histoscribe.widgets.napari_private.window import canvas_of

    (spots,) = spot_layers(window)
    places, colours = spots.data.copy(), spots.face_color.copy()
    canvas = canvas_of(window).native
    window.layers.selection.active = spots
    qtbot.keyClick(canvas, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(canvas, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClick(canvas, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert len(spots.data) == len(places)
    assert len(spots.selected_data) == len(places)
    qtbot.keyClick(canvas, Qt.Key.Key_Backspace)
    np.testing.assert_array_equal(spots.data, places)
    np.testing.assert_array_equal(spots.face_color, colours)
    assert any("none is added, moved or deleted" in one for one in told())
    spots.editable = True
    spots.mode = "add"
    assert spots.mode == "pan_zoom"
    spots.add((3, 3))
    spots.remove([4, 7])
    spots._move({5}, (0, 0))
    np.testing.assert_array_equal(spots.data, places)
    np.testing.assert_array_equal(spots.face_color, colours)
    paint(window, state_of(window))


def test_slips_of_drawing_are_dropped_with_a_word(window: Any, person_at: Any, qtbot: Any) -> None:
    person = person_at(window)
    panel = person.panel("Regions")
    qtbot.wait(50)
    person.click(panel.buttons["freehand"])
    layer = panel.drawn.value
    person.draw(TRIANGLE[:1])
    layer.mode = "add_polygon"
    person.draw(TRIANGLE[:1])
    person.draw(TRIANGLE[[0, 0, 0]])
    layer.mode = "add_polygon"
    person.draw(TRIANGLE[:2])
    layer.mode = "pan_zoom"
    assert layer.nshapes == len(layer.features) == 0
    for kind, rows in (("line", [0, 1]), ("path", [0, 1, 2]), ("polygon", [0, 1, 1, 0])):
        layer.add(TRIANGLE[rows], shape_type=kind)
        panel.refresh()
        qtbot.wait(20)
        assert layer.nshapes == len(layer.features) == 0
    panel.draw("add_polygon")
    person.draw(np.array([[20, 20], [20, 180], [95, 180], [95, 20]], float))
    assert classes_in(layer)[-1] == panel.classes.marked
    assert panel.classed().labels.any()
    assert class_colours(layer)
    assert any("encloses no area" in one for one in told())


def test_regions_are_counted_where_spots_and_shapes_lie_now(window: Any, qtbot: Any) -> None:
    panel = window.window.add_plugin_dock_widget(PLUGIN, "Regions")[1]
    panel.draw("add_polygon")
    layer = panel.drawn.value
    layer.mode = "pan_zoom"
    layer.add_polygons(TRIANGLE)
    name = panel.classes.marked
    before = panel.classed().counts()[name]

    def counted() -> tuple[int, float]:
        qtbot.wait(200)
        row = [panel.classes.model.index(0, column).data() for column in (2, 3)]
        now = panel.classed().counts()[name]
        assert row == [f"{now[0]:,}", f"{now[1]:.2f}"]
        return now

    layer.translate = (1000, 0)
    assert counted()[0] == 0
    (spots,) = spot_layers(window)
    spots.translate = (1000, 0)
    assert counted() == pytest.approx(before)
    spots.rotate = layer.rotate = 40
    assert counted() == pytest.approx(before)
    spots.scale = layer.scale = (2, 2)
    assert counted() == pytest.approx(before)


def test_layers_are_duplicated_renamed_reordered_and_removed(window: Any) -> None:
    from napari.layers._layer_actions import _duplicate_layer

    layers = window.layers
    for layer in list(layers):
        layers.selection = {layer}
        _duplicate_layer(layers)
        layer.name = "a name"
    spots = spot_layers(window)
    assert len(spots) == 2
    spots[1].remove([0])
    assert len(spots[1].data) == len(spots[0].data)
    layers.reverse()
    state_of(window).choose("ERBB2")
    paint(window, state_of(window))
    assert len([layer for layer in layers if slide_of(layer) is not None]) == 2
    layers.clear()
    assert paint(window, state_of(window)) == {}


def test_a_scale_goes_with_its_layer(window: Any) -> None:
    from histoscribe.widgets.layers.strips import GENES

    overlay = window.canvas.overlays[GENES]
    (spots,) = spot_layers(window)
    assert overlay.visible
    spots.visible = False
    assert not overlay.visible
    spots.visible = True
    assert overlay.visible
    window.layers.remove(spots)
    assert not overlay.visible


def test_closing_names_what_is_not_saved(
    window: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    from qtpy.QtWidgets import QMessageBox

    from histoscribe.widgets.napari_private.window import panels_of, unwrapped
    from histoscribe.widgets.state.state import open_panel

    asked: list[str] = []

    def answer(_: Any, __: str, words: str, *___: Any) -> Any:
        asked.append(words)
        return QMessageBox.StandardButton.Save

    monkeypatch.setattr(QMessageBox, "question", answer)
    panel: Any = open_panel(window, "Regions")[1]
    panel.draw("add_polygon")
    panel.drawn.value.mode = "pan_zoom"
    panel.drawn.value.add_polygons(TRIANGLE)
    main = unwrapped(window).window._qt_window
    main.close()
    assert main.isVisible()
    assert asked == ["Not saved: regions. A session, in the Export panel, keeps them all."]
    export: Any = panels_of(window)["Export"]
    export.save_session(tmp_path / "s.histoscribe.json")
    qtbot.waitUntil(lambda: not export.tasks.running, timeout=20_000)
    panel.drawn.value.events.data(value=None, action="changed", data_indices=(0,), vertex_indices=((),))
    panel.save_regions(tmp_path / "a.geojson")
    from histoscribe.widgets.layers.keeping import EDITED

    assert not [layer for layer in window.layers if layer in EDITED]


def test_a_shape_that_is_pasted_counts_and_can_be_undone(window: Any, person_at: Any, qtbot: Any) -> None:
    """napari tells nobody of it but by its features."""
    panel = person_at(window).panel("Regions")
    panel.draw("add_polygon")
    layer = panel.drawn.value
    layer.mode = "pan_zoom"
    layer.add_polygons(TRIANGLE)
    layer.selected_data = {0}
    layer._copy_data()
    layer._paste_data()
    qtbot.wait(250)
    model = panel.classes.model
    assert model.index(0, 1).data() == str(layer.nshapes) == "2"
    panel.undo()
    assert model.index(0, 1).data() == str(layer.nshapes) == "1"


def test_a_slide_and_what_lies_on_it_keep_their_units(window: Any, person_at: Any) -> None:
    """In mm napari would draw the layer a thousand times as large as the others."""
    panel = person_at(window).panel("Regions")
    panel.draw("add_polygon")
    for layer in window.layers:
        layer.units = ("mm", "mm")
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 2
    assert any("stay in their units" in one for one in told())
    foreign = window.add_points(TRIANGLE, units=("um", "um"))
    foreign.units = ("mm", "mm")
    assert [str(unit) for unit in foreign.units] == ["millimeter"] * 2
