"""A session opens the panels again where they were, with what was chosen in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from histoscribe.errors import StorageError
from histoscribe.progress import Progress
from histoscribe.section import Section
from histoscribe.slide import open_slide
from histoscribe.widgets.contributions.launch import PLUGIN, show
from histoscribe.widgets.layers.arrangement import is_side_by_side
from histoscribe.widgets.napari_private.window import panels_of, unwrapped
from histoscribe.widgets.session.file import SUFFIX, read_content
from histoscribe.widgets.session.session import capture, restore
from histoscribe.widgets.session.sources import reopen, write_session
from histoscribe.widgets.state.state import state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]

MakeSection = Callable[..., Section]
LONG = 60_000


@pytest.fixture
def new_window(make_napari_viewer_proxy: Any, registered: None) -> Callable[[], Any]:
    return make_napari_viewer_proxy


@pytest.fixture
def window(new_window: Callable[[], Any], make_section: MakeSection, tmp_path: Path) -> Any:
    """A window with a measured and a predicted section on a slide from disk, and drawn regions."""
    pixels = np.random.default_rng(2).integers(120, 255, (400, 400, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "tissue.png")
    slide = open_slide(tmp_path / "tissue.png", mpp=0.5)
    window = new_window()
    show(window, [make_section("A1", kind, slide=slide) for kind in ("measured", "predicted")])
    boxes = [np.array([[20, 20], [20, 90], [80, 90], [80, 20]]) + by for by in (0, 70)]
    window.add_shapes(
        boxes,
        name="regions",
        units=("um", "um"),
        features={"class": ["Tumour", "Stroma"]},
        edge_color=["red", "blue"],
    )
    return window


def opened(window: Any, name: str) -> tuple[Any, Any]:
    dock, panel = window.window.add_plugin_dock_widget(PLUGIN, name)
    QApplication.processEvents()
    return dock, panel


def shown(window: Any, qtbot: Any) -> Any:
    """The window on the screen: what lies where is only known there."""
    main = unwrapped(window).window._qt_window
    main.resize(1500, 900)
    with qtbot.waitExposed(main):
        window.show()
    return window


def saved(window: Any, path: Path) -> Path:
    viewer = unwrapped(window)
    return write_session(capture(viewer, state_of(viewer)), path, Progress())


def brought_back(window: Any, path: Path) -> Any:
    restore(unwrapped(window), reopen(path, Progress()))
    return window


def compare(window: Any, qtbot: Any) -> Any:
    _, panel = opened(window, "Compare")
    panel.run_button.click()
    qtbot.waitUntil(lambda: panel.compared is not None and not panel.tasks.running, timeout=LONG)
    return panel


def test_panels_come_back_where_they_were(
    window: Any, new_window: Callable[[], Any], qtbot: Any, tmp_path: Path
) -> None:
    shown(window, qtbot)
    left, _ = opened(window, "Genes")
    left.parent().addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, left)
    predict, _ = opened(window, "Predict")
    opened(window, "Regions")
    floating, _ = opened(window, "Slide")
    floating.setFloating(True)
    floating.setGeometry(300, 200, 320, 410)
    hidden, _ = opened(window, "Export")
    hidden.hide()
    predict.raise_()
    predict.raise_()
    left.parent().resizeDocks([predict], [430], Qt.Orientation.Horizontal)
    qtbot.wait(100)
    before = unwrapped(window).window._qt_window
    path = saved(window, tmp_path / f"s{SUFFIX}")
    widths = left.width(), predict.width()

    again = brought_back(shown(new_window(), qtbot), path)
    qtbot.wait(100)
    found = panels_of(again)
    assert set(found) == {"Genes", "Predict", "Regions", "Slide"}
    docks = {name: panel.parent() for name, panel in found.items()}
    main = docks["Genes"].parent()
    assert main is not before
    assert main.dockWidgetArea(docks["Genes"]) == Qt.DockWidgetArea.LeftDockWidgetArea
    assert main.dockWidgetArea(docks["Predict"]) == Qt.DockWidgetArea.RightDockWidgetArea
    assert docks["Regions"] in main.tabifiedDockWidgets(docks["Predict"])
    assert not docks["Predict"].visibleRegion().isEmpty()
    assert docks["Slide"].isFloating()
    assert (docks["Slide"].width(), docks["Slide"].height()) == (320, 410)
    np.testing.assert_allclose((docks["Genes"].width(), docks["Predict"].width()), widths, atol=4)


def test_what_was_chosen_in_them_comes_back(
    window: Any, new_window: Callable[[], Any], qtbot: Any, tmp_path: Path
) -> None:
    state = state_of(window)
    state.choose("CD3E")
    state.add("EPCAM")
    state.pin("MKI67")
    state.colour_map, state.low, state.high, state.shared = "magma", 5.0, 90.0, False
    _, genes = opened(window, "Genes")
    _, predict = opened(window, "Predict")
    predict.model.folder = tmp_path / "model"
    predict.place.value = "region"
    predict.region.only.value = "Stroma"
    predict.pitch.value = 33.0
    predict.device.value = "cpu"
    _, regions = opened(window, "Regions")
    regions.add_class()
    regions.classes.mark("Stroma")
    regions.tabs.setCurrentIndex(1)
    regions.first.value = "Tumour"
    _, export = opened(window, "Export")
    export.dpi.value, export.every_gene.value = 444, True
    export.layer.value = export.layer.choices[1]
    active = window.layers[1]
    window.layers.selection.active = active
    window.layers[0].visible = False
    window.scene.camera.center, window.scene.camera.zoom = (0, 77, 88), 3.5
    path = saved(window, tmp_path / f"s{SUFFIX}")

    again = brought_back(new_window(), path)
    found = panels_of(again)
    assert state_of(again) == state
    assert found["Genes"].list.currentIndex().data() == genes.list.currentIndex().data()
    assert found["Genes"].percentiles.value == (5, 90)
    new = found["Predict"]
    assert new.target.value.name == predict.target.value.name
    assert new.model.folder == tmp_path / "model"
    assert new.region.layer.value.name == "regions"
    assert new.region.only.value == "Stroma"
    assert (new.pitch.value, new.device.value) == (33, "cpu")
    assert new.place.value == "region"
    new = found["Regions"]
    assert list(new.classes.colours.items()) == list(regions.classes.colours.items())
    assert new.classes.marked == "Stroma"
    assert new.tabs.currentIndex() == 1
    assert new.first.value == "Tumour"
    new = found["Export"]
    assert (new.dpi.value, new.every_gene.value) == (444, True)
    assert new.layer.value.name == export.layer.value.name
    assert again.layers.selection.active.name == active.name
    assert [layer.visible for layer in again.layers] == [layer.visible for layer in window.layers]
    assert [layer.name for layer in again.layers] == [layer.name for layer in window.layers]
    assert (again.scene.camera.center[-2:], again.scene.camera.zoom) == ((77, 88), 3.5)
    assert notification_manager.records[-1].message == "The session is back."


def test_the_tab_in_front_comes_back(window: Any, new_window: Callable[[], Any], tmp_path: Path) -> None:
    opened(window, "Evidence")[1].tabs.setCurrentIndex(1)
    again = brought_back(new_window(), saved(window, tmp_path / f"s{SUFFIX}"))
    assert panels_of(again)["Evidence"].tabs.currentIndex() == 1


@pytest.mark.parametrize("panes", [True, False])
def test_what_was_compared_is_compared_again(
    window: Any, new_window: Callable[[], Any], qtbot: Any, tmp_path: Path, panes: bool
) -> None:
    before = compare(window, qtbot)
    before.panes_button.setChecked(panes)
    window.scene.camera.center, window.scene.camera.zoom = (0, 60, 70), 2.5
    path = saved(window, tmp_path / f"s{SUFFIX}")

    again = brought_back(new_window(), path)
    panel = panels_of(again)["Compare"]
    qtbot.waitUntil(lambda: panel.compared is not None and not panel.tasks.running, timeout=LONG)
    assert [one.name for one in panel._pair] == [one.name for one in before._pair]
    assert panel.panes_button.isChecked() == panes
    assert is_side_by_side(unwrapped(again)) == panes
    assert [layer.name for layer in again.layers] == [layer.name for layer in window.layers]
    assert [layer.visible for layer in again.layers] == [layer.visible for layer in window.layers]
    np.testing.assert_allclose(again.scene.camera.center[-2:], (60, 70))
    assert again.scene.camera.zoom == 2.5


def test_what_is_unknown_is_told_and_left_out(
    window: Any, new_window: Callable[[], Any], tmp_path: Path
) -> None:
    opened(window, "Predict")
    path = saved(window, tmp_path / f"s{SUFFIX}")
    content = json.loads(path.read_text())
    known = content["panels"][0]
    known["choices"] |= {
        "target": {"layer": 99},
        "place": "Nowhere",
        "pitch": "wide",
        "tasks": 1,
        "no.such": 2,
    }
    known["tabbed_with"] = "Nothing"
    content["panels"] = [known | {"name": "Fortune telling"}, known]
    path.write_text(json.dumps(content))
    again = brought_back(new_window(), path)
    assert set(panels_of(again)) == {"Predict"}
    assert "There is no panel Fortune telling." in notification_manager.records[-1].message


@pytest.mark.parametrize(
    "damage",
    [{"area": "above"}, {"box": [0, 0, 1]}, {"choices": []}, {"own": {"a": float("inf")}}, {"front": 1}],
)
def test_damaged_panels_are_refused(viewer: Any, tmp_path: Path, damage: dict[str, Any]) -> None:
    path = saved(viewer, tmp_path / f"s{SUFFIX}")
    content = json.loads(path.read_text())
    whole = {
        "name": "Genes",
        "area": "left",
        "floating": False,
        "tabbed_with": "",
        "front": True,
        "box": [0, 0, 300, 400],
        "choices": {"search": ""},
        "own": {},
    }
    path.write_text(json.dumps(content | {"panels": [whole]}))
    assert read_content(path).model_dump(mode="json")["panels"] == [whole]
    path.write_text(json.dumps(content | {"panels": [whole | damage]}))
    with pytest.raises(StorageError, match=rf"panels\.0\.{next(iter(damage))}"):
        read_content(path)


def test_a_session_without_panels_still_opens(
    window: Any, new_window: Callable[[], Any], tmp_path: Path
) -> None:
    """As it was written before panels were kept."""
    path = saved(window, tmp_path / f"s{SUFFIX}")
    content = json.loads(path.read_text())
    del content["panels"], content["view"]["active"]
    path.write_text(json.dumps(content))
    again = brought_back(new_window(), path)
    assert not panels_of(again)
    assert [layer.name for layer in again.layers] == [layer.name for layer in window.layers]
