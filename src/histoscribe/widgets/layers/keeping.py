"""What holds whatever people do to layers: spots stay as they are, slips of drawing go, scales follow."""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import WeakSet

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer, Points, Shapes
from napari.utils.notifications import show_info
from qtpy.QtCore import QTimer

from histoscribe.section import Section
from histoscribe.widgets.layers.layers import OF, known_section, section_of
from histoscribe.widgets.layers.maps import show_map_scale
from histoscribe.widgets.layers.painting import show_gene_scale
from histoscribe.widgets.layers.regions import CLASS, set_features

EDITED: WeakSet[Layer] = WeakSet()
"""Layers that were drawn or computed here and not saved since."""
_watched: WeakSet[ViewerModel] = WeakSet()
_SLIP = "What was drawn encloses no area and was left out."
_OF_SPOTS = ("face_color", "border_color", "border_width", "shown", "size", "symbol")


def watch(viewer: ViewerModel) -> None:
    """See to it from now on, for the layers of now and all that come; again does no harm."""
    if viewer in _watched:
        return
    _watched.add(viewer)

    def scales(*_: object) -> None:
        show_gene_scale(viewer)
        show_map_scale(viewer)

    def keep(layer: Layer) -> None:
        if isinstance(layer, Shapes):
            layer.events.data.connect(_on_shapes)
        elif section_of(layer) is not None or OF in layer.metadata:
            layer.events.visible.connect(scales)
            if isinstance(layer, Points):
                _lock(layer)

    viewer.layers.events.inserted.connect(lambda event: keep(event.value))
    for name in ("inserted", "removed", "reordered"):
        viewer.layers.events[name].connect(scales)
    for layer in viewer.layers:
        keep(layer)


def _lock(layer: Points) -> None:
    """Put spots back where their section has them, with what is known of each, whenever some were edited."""
    before: dict[str, Any] = {}
    busy = False

    def on_data(event: Any) -> None:
        nonlocal busy
        section: Section = layer.metadata.get(OF) or known_section(layer)
        if busy:
            return
        if str(event.action) in ("adding", "changing", "removing"):
            before.update({name: np.array(getattr(layer, name)) for name in _OF_SPOTS})
            before["features"] = layer.features.copy()
        elif not np.array_equal(layer.data, section.centres_um):
            busy = True
            layer.data, layer.selected_data = section.centres_um, set()
            for name, values in before.items():
                setattr(layer, name, values)
            busy = False
            _say()

    layer.events.data.connect(on_data)
    layer.events.editable.connect(lambda: setattr(layer, "editable", False))
    layer.bind_key("Control-V", _say, overwrite=True)  # pasting tells nobody
    layer.editable = False


def _say(*_: object) -> None:
    show_info("Spots are where they were measured or predicted: none is added, moved or deleted.")


def _on_shapes(event: Any) -> None:
    """Leave out what encloses nothing, and the row of features that napari keeps of what it drops itself."""
    layer: Shapes = event.source
    if str(event.action) in ("added", "changed", "removed"):
        (EDITED.add if layer.nshapes else EDITED.discard)(layer)
    if str(event.action) == "added" and len(event.data_indices) == 1:
        if len(layer.features) > layer.nshapes:
            set_features(layer, layer.features.iloc[: layer.nshapes])
            show_info(_SLIP)
        elif _is_slip(layer):
            QTimer.singleShot(0, partial(_drop, layer))  # napari has not finished with it yet


def _is_slip(layer: Shapes) -> bool:
    """Whether the last shape encloses nothing; lines of others are theirs."""
    if not layer.nshapes or (layer.shape_type[-1] in ("line", "path") and CLASS not in layer.features):
        return False
    corners = np.asarray(layer.data[-1])[:, -2:]
    row, column = (corners - corners[0]).T
    twice = abs(row @ np.roll(column, 1) - column @ np.roll(row, 1))
    return layer.shape_type[-1] in ("line", "path") or bool(twice <= 1e-9 * np.ptp(corners) ** 2)


def _drop(layer: Shapes) -> None:
    if _is_slip(layer):
        layer.remove([layer.nshapes - 1])
        show_info(_SLIP)
