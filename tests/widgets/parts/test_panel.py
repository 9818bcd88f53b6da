"""What all panels have from their base: rules, a run, cancel, undo, failures, choices kept, Tab order."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from magicgui.widgets import CheckBox, LineEdit
from napari.layers import Image, Points, Shapes
from napari.utils.interactions import mouse_press_callbacks, mouse_release_callbacks
from napari.utils.notifications import notification_manager
from qtpy.compat import isalive
from qtpy.QtCore import QCoreApplication, QEvent, QPointF, Qt
from qtpy.QtGui import QEnterEvent, QPaintEvent
from qtpy.QtWidgets import QApplication, QDockWidget, QMainWindow, QWidget

from histoscribe.errors import SettingError
from histoscribe.progress import Progress
from histoscribe.widgets.parts.fields import LayerField, RegionField, number_field, words_field
from histoscribe.widgets.parts.panel import Panel, Words

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]


class Doubling(Panel):
    """Doubles the places of a layer of points, as slowly as it is told."""

    def __init__(self, viewer: Any) -> None:
        super().__init__(viewer)
        self.result: float | None = None
        self.layer = self.add(
            LayerField(
                "layer", self.viewer, lambda one: isinstance(one, Points), label="Layer", tooltip="Points"
            )
        )
        self.by = self.add(
            number_field("factor", 2, 0, 9, "×", label="Factor", tooltip="How much"),
            enabled=lambda: self.kind.value == "linear",
        )
        with self.group("How"):
            self.kind = self.add(words_field("kind", ("linear", "square"), label="Kind", tooltip="Of growth"))
            self.region = self.add(RegionField("where", self.viewer), visible=lambda: bool(self.inside.value))
            self.inside = self.add(CheckBox(name="inside", text="Inside a region", tooltip="Or everywhere"))
        self.note = self.add(LineEdit(name="note", label="Note", tooltip="For the record"))
        self.words = self.add(Words("words " * 300))
        self.add_run("Double", "Do it", ready=lambda: self.layer.value is not None, undo="Take it away again")
        self.finish()

    def request(self) -> tuple[Any, float]:
        if self.by.value == 0:
            raise SettingError("nothing times nothing", remedy="choose another factor")
        return self.layer.value.data.copy(), self.by.value

    def start(self) -> None:
        self.launch(self.request, self.double, self.show_result)

    @staticmethod
    def double(request: tuple[Any, float], progress: Progress) -> Any:
        data, factor = request
        for done in range(int(100 * (factor == 9))):
            progress.report("growing", done, 100)
            time.sleep(0.02)
        if factor == 8:
            raise SettingError("eight is too much", remedy="choose another factor")
        return data * factor

    def show_result(self, request: tuple[Any, float], result: Any) -> Generator[None]:
        self.result = request[1]
        yield from self.show_layer((result, {"name": "doubled"}, "points"))

    def forget(self) -> None:
        self.result = None


@pytest.fixture
def panel(viewer: Any, qtbot: Any) -> Doubling:
    viewer.add_layer(Points(np.ones((3, 2)), name="dots"))
    panel = Doubling(viewer)
    qtbot.addWidget(panel)
    panel.resize(300, 200)
    panel.show()
    return panel


def told() -> str:
    return notification_manager.records[-1].message


def done(panel: Panel, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=20_000)


def test_a_run_adds_a_layer_that_undo_takes_away(panel: Doubling, viewer: Any, qtbot: Any) -> None:
    assert not panel.undo_button.isEnabled()
    panel.run_button.click()
    assert not panel.run_button.isEnabled()
    panel.start()
    done(panel, qtbot)
    np.testing.assert_array_equal(viewer.layers["doubled"].data, 2)
    assert panel.run_button.isEnabled()
    panel.undo_button.click()
    assert [layer.name for layer in viewer.layers] == ["dots"]
    assert panel.result is None
    assert not panel.undo_button.isEnabled()


def test_a_result_that_the_user_removed_cannot_be_undone(panel: Doubling, viewer: Any, qtbot: Any) -> None:
    panel.start()
    done(panel, qtbot)
    viewer.layers.remove("doubled")
    panel.reset_choices()
    assert not panel.undo_button.isEnabled()
    panel.undo()
    assert [layer.name for layer in viewer.layers] == ["dots"]


@pytest.mark.parametrize(("factor", "words"), [(0, "nothing times nothing"), (8, "eight is too much")])
def test_failures_are_told_with_their_remedy(
    panel: Doubling, viewer: Any, qtbot: Any, factor: float, words: str
) -> None:
    panel.by.value = factor
    panel.start()
    done(panel, qtbot)
    assert told() == f"{words}; choose another factor."
    assert len(viewer.layers) == 1
    assert panel.run_button.isEnabled()


def test_cancelling_leaves_everything_as_it_was(panel: Doubling, viewer: Any, qtbot: Any) -> None:
    panel.by.value = 9
    panel.start()
    qtbot.waitUntil(lambda: panel.tasks.bar.value() > 1, timeout=10_000)
    panel.tasks.cancel_button.click()
    done(panel, qtbot)
    assert "stopped" in told()
    assert len(viewer.layers) == 1
    assert not panel.undo_button.isEnabled()


def test_rules_follow_every_change(panel: Doubling, viewer: Any) -> None:
    assert panel.by.enabled
    assert panel.region.native.isHidden()
    panel.kind.value = "square"
    panel.inside.value = True
    assert not panel.by.enabled
    assert not panel.region.native.isHidden()
    viewer.layers.clear()
    panel.reset_choices()
    assert panel.layer.value is None
    assert not panel.run_button.isEnabled()


def test_a_layer_stays_chosen_while_it_is_there(panel: Doubling, viewer: Any) -> None:
    heard: list[Any] = []
    panel.layer.changed.connect(heard.append)
    first = panel.layer.value
    second = viewer.add_layer(Points(np.zeros((1, 2)), name="more"))
    panel.reset_choices()
    assert panel.layer.value is first
    assert [layer.name for layer in panel.layer.values] == ["more", "dots"]
    assert heard == []
    viewer.layers.remove(first)
    panel.reset_choices()
    assert panel.layer.value is second
    assert heard == [second]


def test_drawing_adds_a_layer_whose_classes_can_be_chosen(
    panel: Doubling, viewer: Any, make_slide: Any
) -> None:
    panel.region.draw.native.click()
    (shapes,) = [layer for layer in viewer.layers if isinstance(layer, Shapes)]
    assert shapes.mode == "add_polygon"
    assert panel.region.layer.value is shapes
    assert panel.region.only.native.isHidden()
    shapes.add_polygons([np.array([[0, 0], [0, 9], [9, 9]], float)] * 2)
    shapes.features = {"class": ["Tumour", "Stroma"]}
    QApplication.sendEvent(panel, QEnterEvent(QPointF(), QPointF(), QPointF()))
    assert panel.region.only.values == ["", "Stroma", "Tumour"]
    slide = Image(np.zeros((9, 9)), metadata={"slide": make_slide()})
    assert len(panel.region.outlines(slide) or ()) == 2
    panel.region.only.value = "Tumour"
    (outline,) = panel.region.outlines(slide) or ()
    np.testing.assert_allclose(outline.max(axis=0), [9, 9])


def test_what_was_chosen_comes_back_by_the_names_of_the_fields(
    panel: Doubling, viewer: Any, qtbot: Any
) -> None:
    other = viewer.add_layer(Points(np.zeros((1, 2)), name="more"))
    panel.reset_choices()
    panel.layer.value = other
    panel.by.value, panel.kind.value, panel.inside.value, panel.note.value = 3.5, "square", True, "two words"
    kept = panel.values()
    assert kept == {
        "layer": other,
        "factor": 3.5,
        "kind": "square",
        "inside": True,
        "note": "two words",
        "where_class": "",
    }
    again = Doubling(viewer)
    qtbot.addWidget(again)
    again.restore(kept)
    assert again.values() == kept


def test_what_does_not_fit_is_passed_over(panel: Doubling) -> None:
    before = panel.values()
    panel.restore({"layer": 3, "factor": "wide", "kind": "cubic", "inside": "yes", "nobody": 1})
    panel.restore({"factor": 1e9, "layer": "gone"})
    assert panel.values() == before


@pytest.mark.parametrize("how", ["taken out of its dock, as napari closes it", "deleted"])
def test_a_panel_hears_clicks_until_it_is_closed(viewer: Any, qtbot: Any, how: str) -> None:
    window, dock, panel = QMainWindow(), QDockWidget(), Doubling(viewer)
    qtbot.addWidget(window)
    dock.setWidget(panel)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    window.show()
    heard: list[Any] = []
    before = list(viewer.mouse_drag_callbacks)
    panel.hear_clicks(heard.append)

    def click() -> None:
        event = SimpleNamespace(type="mouse_press", position=(1.0, 2.0), modifiers=())
        mouse_press_callbacks(viewer, event)
        event.type = "mouse_release"
        mouse_release_callbacks(viewer, event)
        QApplication.processEvents()

    click()
    np.testing.assert_array_equal(heard, [(1, 2)])
    if how == "deleted":
        panel.deleteLater()
        QApplication.sendPostedEvents(panel, QEvent.Type.DeferredDelete.value)
    else:
        panel.setParent(None)
    click()
    assert len(heard) == 1
    assert viewer.mouse_drag_callbacks == before


def test_it_scrolls_inside_itself(panel: Doubling) -> None:
    hint = panel.minimumSizeHint()
    assert hint.height() <= 150
    assert hint.width() <= 380
    assert panel.words.height() > panel.height()


class Painted(Words):
    """Words that know how high they were, and should have been, each time they were painted."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.heights: list[tuple[int, int]] = []

    def paintEvent(self, event: QPaintEvent) -> None:
        self.heights.append((self.height(), self.heightForWidth(self.width())))
        super().paintEvent(event)


class Nested(Panel):
    """Words in a box in a tab."""

    def __init__(self, viewer: Any) -> None:
        super().__init__(viewer)
        with self.tab(self.add_tabs("tab"), "One"), self.group("Box"):
            self.words = self.add(Painted("few"))
            self.add(Words("below\n" * 30))
        self.finish(stretch=False)


def test_more_words_are_never_painted_into_the_room_of_fewer(viewer: Any, qtbot: Any) -> None:
    panel = Nested(viewer)
    qtbot.addWidget(panel)
    panel.resize(300, 300)
    with qtbot.waitExposed(panel):
        panel.show()
    qtbot.wait(50)
    panel.words.heights.clear()
    panel.words.setText("words " * 100)
    qtbot.waitUntil(lambda: len(panel.words.heights) > 1)
    assert [had for had, needed in panel.words.heights if had < needed] == []


def test_the_tab_key_goes_from_top_to_bottom(panel: Doubling, focus_order: Callable[[QWidget], Any]) -> None:
    panel.inside.value = True
    panel.region.add()
    places = focus_order(panel)
    assert len(places) == 8
    assert places == sorted(places)


def test_every_field_says_what_it_means(panel: Doubling) -> None:
    assert all(field.tooltip for field in panel.fields().values())
    assert panel.run_button.toolTip() == "Do it"


def test_the_unit_stands_behind_the_number(panel: Doubling) -> None:
    assert panel.by.native.text() == "2.0 ×"
    assert panel.by.native.focusPolicy() & Qt.FocusPolicy.TabFocus


def test_a_panel_that_the_collector_emptied_goes_quietly(viewer: Any, qtbot: Any) -> None:
    panel = Doubling(viewer)
    vars(panel).clear()
    panel.deleteLater()
    QCoreApplication.sendPostedEvents(panel, QEvent.Type.DeferredDelete)
    assert not isalive(panel)
