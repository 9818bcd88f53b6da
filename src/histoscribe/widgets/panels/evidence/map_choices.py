"""Ticks for the maps of a prediction, each a layer of its own, and the legend of those that are there."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import TYPE_CHECKING

from qtpy.QtGui import QColor
from qtpy.QtWidgets import QCheckBox, QLabel, QVBoxLayout, QWidget

from histoscribe.widgets.layers.layers import section_of
from histoscribe.widgets.layers.maps import (
    class_palette,
    find_map,
    map_of,
    maps_on,
    renew,
    show_map,
    strip_of,
)
from histoscribe.widgets.panels.evidence.spot_maps import (
    FUNCTIONAL,
    INTERVAL,
    KINDS,
    NOVELTY,
    SPATIAL,
    TYPES,
    lacking,
    spot_map,
)
from histoscribe.widgets.parts.plots import Bar
from histoscribe.widgets.state.state import state_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from histoscribe.widgets.layers.strips import Strip

_SQUARE = "<span style='color: {}'>■</span> {}"


class MapChoices(QWidget):
    """A tick for each map: setting it adds the map's layer, or shows it anew; taking it away removes it.

    Parameters
    ----------
    viewer : ViewerModel
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer, self._state = viewer, state_of(viewer)
        self._layer: Layer | None = None
        self.novelty, self.interval = QCheckBox(KINDS[NOVELTY]), QCheckBox(KINDS[INTERVAL])
        self.spatial, self.functional = QCheckBox(KINDS[SPATIAL]), QCheckBox(KINDS[FUNCTIONAL])
        self.types = QCheckBox(KINDS[TYPES])
        boxes = (self.novelty, self.interval, self.spatial, self.functional, self.types)
        self._boxes = dict(zip(KINDS, boxes, strict=True))
        self.why, self.classes = QLabel(), QLabel()
        self.bar = Bar()
        self.bar.setToolTip("Which value of a map has which colour")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for kind, box in self._boxes.items():
            box.toggled.connect(partial(self._on_tick, kind))
            layout.addWidget(box)
        for words in (self.why, self.classes):
            words.setWordWrap(True)
        for widget in (self.why, self.bar, self.classes):
            layout.addWidget(widget)
        self._state.events.gene.connect(self._on_gene)
        self.refresh()

    def set_layer(self, layer: Layer | None) -> None:
        """Offer the maps of a layer of predicted spots; none where there is no such layer."""
        self._layer = layer
        self.refresh()

    def refresh(self) -> None:
        """Follow the layer list: a map whose layer was deleted is ticked no longer."""
        section = None if self._layer is None else section_of(self._layer)
        reasons = []
        for kind, box in self._boxes.items():
            reason = "" if section is None else lacking(section, kind, self._state.gene)
            there = section is not None and find_map(self._viewer, section, kind) is not None
            box.setEnabled(section is not None and (there or not reason))
            box.setToolTip(reason or "Shown as a layer of its own; delete the layer, or take the tick away")
            box.blockSignals(True)
            box.setChecked(there)
            box.blockSignals(False)
            if not box.isEnabled() and reason:
                reasons.append(reason)
        self.why.setText("\n".join(dict.fromkeys(reasons)))
        self.why.setVisible(bool(reasons))
        self._show_legend([] if section is None else maps_on(self._viewer, section))

    def _on_tick(self, kind: str, on: bool) -> None:
        assert self._layer is not None
        section = section_of(self._layer)
        if on:
            show_map(self._viewer, self._layer, spot_map(section, kind, self._state.gene))
        elif (layer := find_map(self._viewer, section, kind)) is not None:
            self._viewer.layers.remove(layer)
        self.refresh()

    def _on_gene(self, *_: object) -> None:
        """The map of the interval follows the gene shown, where it was predicted."""
        section = None if self._layer is None else section_of(self._layer)
        if section is not None and not lacking(section, INTERVAL, self._state.gene):
            there = find_map(self._viewer, section, INTERVAL)
            if there is not None:
                renew(self._viewer, there, spot_map(section, INTERVAL, self._state.gene))
        self.refresh()

    def _show_legend(self, layers: list[Layer]) -> None:
        shown = [map_of(layer) for layer in reversed(layers)]
        strips: dict[Strip, None] = {}
        for one in shown:
            if not one.classes:
                strips[strip_of(one)] = None
        self.bar.show_scales(list(strips))
        self.bar.setVisible(bool(strips))
        named = next((one.classes for one in shown if one.classes), ())
        colours = [QColor.fromRgbF(*map(float, colour)).name() for colour in class_palette(len(named))]
        lines = zip(colours, map(escape, named), strict=True)
        self.classes.setText("<br>".join(_SQUARE.format(*one) for one in lines))
        self.classes.setVisible(bool(named))
