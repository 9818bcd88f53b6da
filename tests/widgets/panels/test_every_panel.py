"""What every panel owes its user: little room, an order, a meaning of each field, choices that come back."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any
from weakref import ref

import pytest
from magicgui.widgets import PushButton
from napari.qt import get_stylesheet
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QComboBox, QTabBar

from histoscribe.section import Section
from histoscribe.widgets.contributions.launch import PLUGIN, show
from histoscribe.widgets.napari_private.window import panels_of, unwrapped
from histoscribe.widgets.parts.panel import Panel, Scrolled
from histoscribe.widgets.state.state import state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]

STILL = (
    "Predict", "Train", "Clusters", "Align", "Quality", "Impute", "Generate", "Programmes", "Classify",
    "Slide", "Export", "First steps",
)  # fmt: skip
"""Panels whose fields change nothing in the window until a button is pressed."""

EVERY = (*STILL, "Genes", "Compare", "Evidence", "Regions")
LOW = 160
"""Pixels: several panels share the height of a small screen."""


@pytest.fixture
def panel(
    viewer: Any,
    panel_for: Callable[[str], Any],
    make_section: Callable[..., Section],
    request: pytest.FixtureRequest,
) -> Panel:
    """The panel of the name asked for, dressed as napari dresses it."""
    show(viewer, [make_section("A1"), make_section("A2")])
    panel: Panel = panel_for(request.param)
    panel.setStyleSheet(get_stylesheet("dark"))
    return panel


@pytest.mark.parametrize("panel", EVERY, indirect=True)
def test_a_panel_needs_little_room_has_an_order_and_says_what_all_means(
    panel: Panel, qtbot: Any, focus_order: Callable[[Any], list[tuple[int, int]]]
) -> None:
    assert panel.minimumSizeHint().height() <= LOW
    scrolled = panel.findChild(Scrolled)
    bar = scrolled.verticalScrollBar().sizeHint().width()
    assert scrolled.widget().minimumSizeHint().width() + bar <= 320  # the dock's width, also while it scrolls
    with qtbot.waitExposed(panel):
        panel.show()
    places = focus_order(panel)
    assert places
    assert places == sorted(places)
    assert [name for name, field in panel.fields().items() if not field.tooltip] == []
    unnamed = [one for one in panel.findChildren(QAbstractButton) if one.text() and not one.toolTip()]
    ours = [one for one in unnamed if one is not panel.tasks.cancel_button]
    assert [one.text() for one in ours] == []


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_all_panels_share_one_dock_that_fits_a_small_screen(
    window: Any, make_section: Callable[..., Section], theme: str, qtbot: Any
) -> None:
    """On 1366 × 768, and on 1600 × 1000 at 200 %, which is 800 × 500: no panel adds height, or is cut."""
    show(window, [make_section("A1"), make_section("A2")])
    window.show()
    window.theme = theme
    main = unwrapped(window).window._qt_window
    qtbot.wait(50)
    alone = main.minimumSizeHint().height()
    for name in EVERY:
        window.window.add_plugin_dock_widget(PLUGIN, name)
        qtbot.wait(20)
    assert main.minimumSizeHint().height() == alone
    assert main.minimumSizeHint().width() <= 800
    for wide, high in ((1366, 768), (800, 500)):
        main.resize(wide, high)
        qtbot.wait(50)
        assert (main.width(), main.height()) == (wide, max(high, alone))
        for name, one in panels_of(window).items():
            dock = one.parent()
            dock.raise_()
            qtbot.wait(20)
            assert len(main.tabifiedDockWidgets(dock)) == len(EVERY) - 1
            assert dock.windowTitle() == name
            assert one.findChild(Scrolled).horizontalScrollBar().maximum() == 0, name
    bar = next(one for one in main.findChildren(QTabBar) if one.count() == len(EVERY))
    assert {bar.tabText(place) for place in range(bar.count())} == set(EVERY)
    assert bar.elideMode() == Qt.TextElideMode.ElideNone


def test_a_closed_panel_is_gone_and_hears_no_more(
    window: Any, make_section: Callable[..., Section], qtbot: Any
) -> None:
    show(window, [make_section("A1"), make_section("A2")])
    known = {}
    for name in EVERY:
        window.window.add_plugin_dock_widget(PLUGIN, name)
        known[name] = ref(panels_of(window)[name])
    qtbot.wait(50)
    window.window.remove_dock_widget("all")

    def gone() -> None:
        gc.collect()
        assert [name for name, panel in known.items() if panel() is not None] == []

    qtbot.waitUntil(gone, timeout=120_000)  # a busy one, or one that waits for a thread, goes when that ends
    state_of(window).choose("CD3E")
    show(window, [make_section("A3")])


@pytest.mark.parametrize("panel", STILL, indirect=True)
def test_what_is_chosen_comes_back(panel: Panel, viewer: Any, qtbot: Any) -> None:
    """Another choice in every field that has one, in a second panel of the same kind."""
    for field in panel.fields().values():
        native = field.native
        if isinstance(native, QComboBox) and native.count() > 1 and field.name != "place":
            native.setCurrentIndex(native.count() - 1)
        elif isinstance(native, QAbstractButton) and not isinstance(field, PushButton):
            native.setChecked(not native.isChecked())
    kept = panel.values()
    again = type(panel)(viewer)
    qtbot.addWidget(again)
    again.restore(kept)
    assert again.values() == kept
