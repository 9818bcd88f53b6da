"""The panels of one window: each there once, whether the menu, a key, a button or a session opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from npe2 import PluginManager
from qtpy.QtWidgets import QDockWidget, QWidget

from histoscribe.widgets.napari_private.probe import PLUGIN, reach
from histoscribe.widgets.napari_private.window import ENDINGS, dock_of, panels_of

if TYPE_CHECKING:
    from napari.components import ViewerModel


def open_panel(viewer: ViewerModel, name: str) -> tuple[QDockWidget, QWidget]:
    """Show a panel, named as in the menu, in front, made where the window has none; `KeyError` if unknown."""
    panel = panels_of(viewer).get(name)
    if panel is None:
        widgets = PluginManager.instance().iter_widgets()
        known = {one.display_name: one for one in widgets if one.plugin_name == PLUGIN}
        made: Any = known[name].get_callable()
        panel = made(viewer)
        reach(viewer, "window").add_dock_widget(panel, name=f"{name}{ENDINGS[0]}")
    assert isinstance(panel, QWidget)
    dock, _ = dock_of(panel)
    dock.show()
    dock.raise_()
    return dock, panel
