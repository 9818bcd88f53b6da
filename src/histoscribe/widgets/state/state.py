"""What one viewer shows at the moment: a weak dictionary from viewer to an evented state, no singleton."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from napari.components import ViewerModel
from npe2 import PluginManager
from qtpy.QtWidgets import QDockWidget, QWidget

from histoscribe.widgets.layers.keeping import watch
from histoscribe.widgets.layers.view_state import COLOUR_MAPS, ViewState
from histoscribe.widgets.napari_private.probe import PLUGIN, reach
from histoscribe.widgets.napari_private.window import ENDINGS, dock_of, panels_of, unwrapped
from histoscribe.widgets.state.preferences import preferences

_STATES: WeakKeyDictionary[Any, ViewState] = WeakKeyDictionary()


def state_of(viewer: ViewerModel) -> ViewState:
    """The state of a viewer; made on the first call, gone with the viewer."""
    model = unwrapped(viewer)
    if model not in _STATES:
        wished = preferences().colour_map
        watch(model)
        _STATES[model] = ViewState(colour_map=wished if wished in COLOUR_MAPS else COLOUR_MAPS[0])
    return _STATES[model]


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
