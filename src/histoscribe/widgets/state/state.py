"""What one viewer shows at the moment: a weak dictionary from viewer to an evented state, no singleton."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from histoscribe.widgets.layers.keeping import watch
from histoscribe.widgets.layers.view_state import COLOUR_MAPS, ViewState
from histoscribe.widgets.napari_private.window import unwrapped
from histoscribe.widgets.state.preferences import preferences

if TYPE_CHECKING:
    from napari.components import ViewerModel

_STATES: WeakKeyDictionary[Any, ViewState] = WeakKeyDictionary()


def state_of(viewer: ViewerModel) -> ViewState:
    """The state of a viewer; made on the first call, gone with the viewer."""
    model = unwrapped(viewer)
    if model not in _STATES:
        wished = preferences().colour_map
        watch(model)
        _STATES[model] = ViewState(colour_map=wished if wished in COLOUR_MAPS else COLOUR_MAPS[0])
    return _STATES[model]
