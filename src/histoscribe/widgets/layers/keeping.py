"""What holds whatever people do to layers: spots stay as they are, slips of drawing go, scales follow."""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import WeakSet

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer, Points, Shapes
from napari.layers.base import ActionType
from napari.utils.notifications import show_info
from qtpy.QtCore import QTimer

from histoscribe.section import Section
from histoscribe.widgets.layers.layers import OF, known_section, section_of, slide_of
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
        drawn = isinstance(layer, Shapes) and CLASS in layer.features
        if drawn or OF in layer.metadata or section_of(layer) or slide_of(layer):
            _keep_units(layer)
        if isinstance(layer, Shapes):
            layer.events.data.connect(_on_shapes)
            _hear_pasting(layer)
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


def _keep_units(layer: Layer) -> None:
    """Put units back that somebody changed: napari draws a layer in mm a thousand times as large."""
    before = layer.units

    def on_units(_: Any) -> None:
        nonlocal before
        if all(str(unit) == "micrometer" for unit in layer.units):
            before = layer.units
        elif layer.units != before:
            layer.units = before
            show_info("A slide and what lies on it stay in their units; the Slide panel sets their scale.")

    layer.events.units.connect(on_units)


def _hear_pasting(layer: Shapes) -> None:
    """Tell of shapes that were pasted, as napari does of those that are drawn."""
    known: int | None = layer.nshapes

    def on_data(event: Any) -> None:
        nonlocal known
        known = None if str(event.action) == "adding" else layer.nshapes

    def look() -> None:
        nonlocal known
        if known is not None and layer.nshapes > known:
            added = tuple(range(known, layer.nshapes))
            layer.events.data(
                value=layer.data, action=ActionType.ADDED, data_indices=added, vertex_indices=((),)
            )

    layer.events.data.connect(on_data)
    layer.events.features.connect(lambda: QTimer.singleShot(0, look))


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
