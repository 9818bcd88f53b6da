"""A viewer's window: what it draws and tells while layers come and go, and the panels docked in it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from napari.components import ViewerModel
from napari.layers import Layer
from napari.utils.events import Event
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QTabBar, QWidget

from histoscribe.widgets.napari_private.probe import PLUGIN, Use, may, reach

ENDINGS = (" (Histoscribe)", f" ({PLUGIN})")
"""After a panel's name in its title: as napari's menu writes it, and its `add_plugin_dock_widget`."""

_OF_CONTROLS = ("_add(event)", "_remove(event)")
_OF_LAYERS = ("_activate_on_insert",)


def unwrapped(viewer: ViewerModel) -> ViewerModel:
    """The viewer itself where a plugin was handed napari's public proxy of it."""
    model: ViewerModel = getattr(viewer, "__wrapped__", viewer)
    return model


def panels_of(viewer: ViewerModel) -> dict[str, QWidget]:
    """The panels that a viewer's window has, by name; none without a window."""
    docks = reach(viewer, "window.dock_widgets") or {}
    return {
        title.removesuffix(ending): docks[title]
        for title in docks
        for ending in ENDINGS
        if title.endswith(ending)
    }


def dock_of(panel: QWidget) -> tuple[QDockWidget, QMainWindow]:
    """The dock that a panel lies in, and its window."""
    dock = panel.parent()
    assert isinstance(dock, QDockWidget)
    main = dock.parent()
    assert isinstance(main, QMainWindow)
    return dock, main


def share_dock(panel: QWidget) -> None:
    """Tab a panel just docked, under its bare name, with our others: stacked, they outgrow a screen."""
    dock, main = dock_of(panel)
    dock.setWindowTitle(dock.windowTitle().removesuffix(ENDINGS[0]).removesuffix(ENDINGS[1]))
    docks = [one for one in main.findChildren(QDockWidget) if not one.isFloating()]
    area = main.dockWidgetArea(dock)
    shown = [one for one in docks if not one.isHidden() and main.dockWidgetArea(one) == area]
    others = [one for one in shown if type(one.widget()).__module__.startswith("histoscribe.")]
    if dock in others and len(others) > 1:
        main.tabifyDockWidget(next(one for one in reversed(others) if one is not dock), dock)
        dock.raise_()
    own = {one.objectName(): one for one in docks}
    controls, listed = own.get("layer controls"), own.get("layer list")
    if controls and listed and main.minimumSizeHint().height() > main.screen().availableSize().height():
        main.tabifyDockWidget(listed, controls)  # napari alone outgrows a small screen at 200 %
    for bar in main.findChildren(QTabBar):
        bar.setElideMode(Qt.TextElideMode.ElideNone)
        bar.setUsesScrollButtons(True)


def canvas_of(viewer: ViewerModel) -> Any:
    """napari's canvas; None without a window, or where another napari keeps it elsewhere."""
    return reach(unwrapped(viewer), "window._qt_viewer.canvas")


@contextmanager
def undrawn(viewer: ViewerModel) -> Iterator[None]:
    """Draw nothing while several changes follow each other, once afterwards; each if this is not possible."""
    widget = reach(canvas_of(viewer), "native")
    if widget is None or not may(Use.STILL_CANVAS, (widget, ("setUpdatesEnabled",))):
        yield
        return
    widget.setUpdatesEnabled(False)
    try:
        yield
    finally:
        with suppress(RuntimeError):  # the window has been closed meanwhile
            widget.setUpdatesEnabled(True)


def added_in_turns(
    viewer: ViewerModel, described: tuple[Any, dict[str, Any], str]
) -> Generator[None, None, Layer]:
    """Add a layer, select it and tell the panels, step by step: the window answers in between.

    `viewer.add_layer` does all of it at once and holds the window up for as long. Here napari's controls of
    the layer are made ahead, while nobody can ask for them yet; it is selected, and each panel hears of it,
    in a turn of its own. Where this is not possible or not wished, napari does all of it at once, as ever.
    Somebody may have removed the layer that is returned in between.
    """
    viewer = unwrapped(viewer)
    layer = Layer.create(*described)
    yield
    controls = reach(viewer, "window._qt_viewer.controls")
    if not may(Use.LAYERS_IN_TURNS, (viewer.layers, _OF_LAYERS)):
        viewer.add_layer(layer)
        return layer
    docked = reach(viewer, "window.dock_widgets") or {}
    panels = [panel for panel in docked.values() if hasattr(panel, "reset_choices")]
    later = [panel.reset_choices for panel in panels]
    if may(Use.LAYERS_IN_TURNS, (controls, _OF_CONTROLS)):
        controls._add(Event("inserted", value=layer))
        later.append(controls._add)
        try:
            yield
        except GeneratorExit:  # whoever wanted the layer is gone
            with suppress(RuntimeError):  # and perhaps the window with it
                controls._remove(Event("removed", value=layer))
            raise
    with ExitStack() as stack:
        for callback in later:
            stack.enter_context(viewer.layers.events.inserted.blocker(callback))
        viewer.layers._activate_on_insert = False
        stack.callback(setattr, viewer.layers, "_activate_on_insert", True)
        viewer.add_layer(layer)
    yield
    if layer in viewer.layers:
        viewer.layers.selection.active = layer
    for panel in panels:
        yield
        if panel in docked.values():
            panel.reset_choices()
    return layer
