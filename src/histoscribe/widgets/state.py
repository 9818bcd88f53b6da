"""What one viewer shows at the moment: a weak dictionary from viewer to an evented state, no singleton."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from psygnal import SignalGroupDescriptor

if TYPE_CHECKING:
    from napari.components import ViewerModel

COLOUR_MAPS = ("viridis", "cividis", "magma", "inferno", "plasma", "gray")


@dataclass
class ViewState:
    """How genes are painted in one viewer.

    Parameters
    ----------
    gene : str
        The chosen gene; empty before the first choice.
    colour_map : str
        One of `COLOUR_MAPS`, all of them readable without colour vision.
    low, high : float
        Percentiles of the values at the ends of the colour scale.
    shared : bool
        Whether all layers of spots share their colour limits.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    gene: str = ""
    colour_map: str = COLOUR_MAPS[0]
    low: float = 1.0
    high: float = 99.0
    shared: bool = True


_STATES: WeakKeyDictionary[Any, ViewState] = WeakKeyDictionary()


def state_of(viewer: ViewerModel) -> ViewState:
    """The state of a viewer; made on the first call, gone with the viewer."""
    model = unwrapped(viewer)
    if model not in _STATES:
        _STATES[model] = ViewState()
    return _STATES[model]


def unwrapped(viewer: ViewerModel) -> ViewerModel:
    """The viewer itself where a plugin was handed napari's public proxy of it."""
    return getattr(viewer, "__wrapped__", viewer)
