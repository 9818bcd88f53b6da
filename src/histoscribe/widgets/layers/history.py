"""What regions were before: undone step by step; what is done to a locked one is undone at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.utils.notifications import show_info

from histoscribe.tiles import is_locked
from histoscribe.widgets.layers.regions import OTHER, set_features, words_in

if TYPE_CHECKING:
    from napari.layers import Shapes

_MOST = 30
_COLUMNS = ("shape_type", "edge_color", "face_color", "edge_width", "features")
_known: WeakKeyDictionary[Shapes, History] = WeakKeyDictionary()


class History:
    """The states that one layer of regions was in."""

    def __init__(self, layer: Shapes) -> None:
        self._layer = layer
        self._now, self._before = self._state(), list[dict[str, Any]]()
        self._busy = False
        layer.events.data.connect(self._on_data)
        layer.events.features.connect(self._on_features)

    @property
    def undoable(self) -> bool:
        """Whether there is an earlier state."""
        return bool(self._before)

    @contextmanager
    def step(self) -> Iterator[None]:
        """Make one step of all that is done to the regions meanwhile."""
        self._push()
        self._busy = True
        try:
            yield
        finally:
            self._busy, self._now = False, self._state()

    def undo(self) -> None:
        """Go back by one step."""
        if self._before:
            self._now = self._before.pop()
            self._go_back()

    def _on_data(self, event: Any) -> None:
        if self._busy or str(event.action) not in ("added", "changed", "removed"):
            return
        before, after = (self._locked(one) for one in (self._now, self._state()))
        if len(before) == len(after) and all(map(np.array_equal, before, after)):
            self._push()
            self._now = self._state()
        else:
            self._go_back()
            show_info("Locked regions stay as they are: unlock them in the list first.")

    def _on_features(self, *_: object) -> None:
        if not self._busy:
            self._now = self._state()

    def _push(self) -> None:
        self._before = [*self._before, self._now][-_MOST:]

    def _state(self) -> dict[str, Any]:
        layer = self._layer
        return {
            "data": list(layer.data),
            "others": words_in(layer, OTHER),
            **{name: getattr(layer, name).copy() for name in _COLUMNS},
        }

    @staticmethod
    def _locked(state: dict[str, Any]) -> list[Any]:
        return [
            one
            for one, other in zip(state["data"], state["others"], strict=True)
            if other and is_locked(other)
        ]

    def _go_back(self) -> None:
        state, layer, self._busy = self._now, self._layer, True
        layer.remove(list(range(layer.nshapes)))
        if state["data"]:
            looks = {name: state[name] for name in _COLUMNS if name != "features"}
            layer.add(state["data"], **looks)
        set_features(layer, state["features"])
        self._busy = False


def history_of(layer: Shapes) -> History:
    """The history of a layer, which begins with the first call."""
    return _known.setdefault(layer, _known.get(layer) or History(layer))
