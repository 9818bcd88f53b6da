"""Ticks for the maps of a prediction, each a layer of its own, and the legend of those that are there."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import TYPE_CHECKING

from magicgui.widgets import CheckBox
from qtpy.QtGui import QColor

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
from histoscribe.widgets.parts.panel import Panel, wrapped_words
from histoscribe.widgets.parts.plots import Bar

if TYPE_CHECKING:
    from napari.layers import Layer

    from histoscribe.widgets.layers.strips import Strip

_FIELDS = {
    NOVELTY: "novelty",
    INTERVAL: "interval",
    SPATIAL: "spatial",
    FUNCTIONAL: "functional",
    TYPES: "types",
}
_SQUARE = "<span style='color: {}'>■</span> {}"


class MapChoices:
    """A tick for each map: setting it adds the map's layer, or shows it anew; taking it away removes it.

    Parameters
    ----------
    panel : Panel
        Where the ticks and the legend are placed.
    """

    def __init__(self, panel: Panel) -> None:
        self._viewer, self._state = panel.viewer, panel.state
        self._layer: Layer | None = None
        self.boxes = {kind: CheckBox(name=name, text=KINDS[kind]) for kind, name in _FIELDS.items()}
        for kind, box in self.boxes.items():
            panel.add(box)
            box.changed.connect(partial(self._on_tick, kind))
        self.why, self.bar, self.classes = wrapped_words(), Bar(), wrapped_words()
        self.bar.setToolTip("Which value of a map has which colour")
        for part in (self.why, self.bar, self.classes):
            panel.add(part)
        self._state.events.gene.connect(self._on_gene)

    def set_layer(self, layer: Layer | None) -> None:
        """Offer the maps of a layer of predicted spots; none where there is no such layer."""
        self._layer = layer
        self.refresh()

    def refresh(self) -> None:
        """Follow the layer list: a map whose layer was deleted is ticked no longer."""
        section = None if self._layer is None else section_of(self._layer)
        reasons = []
        for kind, box in self.boxes.items():
            reason = "" if section is None else lacking(section, kind, self._state.gene)
            there = section is not None and find_map(self._viewer, section, kind) is not None
            box.enabled = section is not None and (there or not reason)
            box.tooltip = reason or "Shown as a layer of its own; delete the layer, or take the tick away"
            with box.changed.blocked():
                box.value = there
            if not box.enabled and reason:
                reasons.append(reason)
        self.why.setText("\n".join(dict.fromkeys(reasons)))
        self.why.setVisible(bool(reasons))
        self._show_legend([] if section is None else maps_on(self._viewer, section))

    def _on_tick(self, kind: str, on: bool) -> None:
        section = None if self._layer is None else section_of(self._layer)
        if section is None or self._layer is None:
            return
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
        shown = [one for layer in reversed(layers) if (one := map_of(layer)) is not None]
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
