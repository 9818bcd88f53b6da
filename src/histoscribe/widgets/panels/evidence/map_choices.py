"""What a predicted table says of every spot besides its genes, as maps: ticks for them, and their legend."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from magicgui.widgets import CheckBox
from numpy.typing import NDArray

from histoscribe.record import record_of
from histoscribe.section import Section
from histoscribe.widgets.layers import maps
from histoscribe.widgets.layers.colours import DIFFERENCE, UNITS, spread
from histoscribe.widgets.layers.layers import section_of
from histoscribe.widgets.parts.fields import LayerField
from histoscribe.widgets.parts.panel import Panel, Words
from histoscribe.widgets.parts.plots import Bar

NOVELTY, INTERVAL, TYPES = "novelty", "interval", "spot_type"
SPATIAL, FUNCTIONAL = "attention_spatial", "attention_functional"
KINDS = {
    NOVELTY: "Distance from the training tissue",
    INTERVAL: "Width of the gene's 90 % interval",
    SPATIAL: "Attention along the spatial graph",
    FUNCTIONAL: "Attention along the functional graph",
    TYPES: "Spot type",
}
"""What can be shown, and what it is called."""

_NO_GRAPHS = "Attention needs a model that looks along graphs:\nhistoscribe train predictor --graphs"
_MOST_TYPES = 1000
_ATTENTION = "sum of the weights with which other spots look at it"


def lacking(section: Section, kind: str, gene: str) -> str:
    """Why a map of `KINDS` cannot be shown of a predicted gene, and what would help; empty where it can."""
    table = section.table
    if kind == INTERVAL:
        if not {"low", "high"} <= set(table.layers):
            return "The intervals are unknown: the model had no section to hold out."
        return "" if gene in table.var_names else "The gene shown was not predicted here: choose another."
    if kind in table.obs and _is_readable(table.obs[kind].to_numpy(), kind):
        return ""
    return _NO_GRAPHS if kind in (SPATIAL, FUNCTIONAL) else "This prediction does not say it; predict again."


def spot_map(section: Section, kind: str, gene: str) -> maps.Map:
    """The values of a map that is not `lacking`."""
    table = section.table
    if kind == INTERVAL:
        column = table.var_names.get_loc(gene)
        low, high = (np.asarray(table.layers[end][:, column], dtype=np.float32) for end in ("low", "high"))
        width = high - low
        legend = f"{gene}, width of the 90 % interval"
        return maps.Map(kind, legend, UNITS, width, spread(width), legend=legend)
    found = table.obs[kind].to_numpy()
    if kind == TYPES:
        types = found.astype(np.int64)
        named = list(record_of(table).type_names)
        named += [f"type {number + 1}" for number in range(len(named), int(types.max()) + 1)]
        return maps.Map(kind, "spot type", "read from the image", types, classes=tuple(named))
    values = found.astype(np.float32)
    if kind == NOVELTY:
        title, unit = "distance from the training tissue", "above 1: further than 99 % of it"
        return maps.Map(kind, title, unit, values, (0.0, 2.0), DIFFERENCE, legend=f"{title}, limit 1")
    graph = kind.removeprefix("attention_")
    title, legend = f"attention along the {graph} graph", f"attention received, {graph} graph"
    return maps.Map(kind, title, _ATTENTION, values, spread(values), legend=legend)


def _is_readable(values: NDArray[Any], kind: str) -> bool:
    """Whether a column of a file holds numbers, and types can be counted."""
    if kind != TYPES:
        return values.dtype.kind in "iuf"
    return values.dtype.kind in "iu" and values.size > 0 and 0 <= values.min() <= values.max() < _MOST_TYPES


_FIELDS = (NOVELTY, INTERVAL, "spatial", "functional", "types")


class MapChoices:
    """A tick for each map: setting it adds the map's layer, or shows it anew; taking it away removes it."""

    def __init__(self, panel: Panel, layer: LayerField) -> None:
        self._viewer, self._state, self._layer = panel.viewer, panel.state, layer
        names = zip(_FIELDS, KINDS.items(), strict=True)
        self.boxes = {kind: CheckBox(name=name, text=words) for name, (kind, words) in names}
        for kind, box in self.boxes.items():
            panel.add(box)
            box.changed.connect(partial(self._on_tick, kind))
        self.why, self.bar, self.classes = Words(), Bar(), Words()
        self.bar.setToolTip("Which value of a map has which colour")
        for part in (self.why, self.bar, self.classes):
            panel.add(part)
        panel.hear(self._state.events.gene, self._on_gene)

    def refresh(self) -> None:
        """Offer the maps of the chosen layer; one whose layer was deleted is ticked no longer."""
        section = section_of(self._layer.value)
        reasons = []
        for kind, box in self.boxes.items():
            reason = "" if section is None else lacking(section, kind, self._state.gene)
            there = section is not None and maps.find_map(self._viewer, section, kind) is not None
            box.enabled = section is not None and (there or not reason)
            box.tooltip = reason or "Shown as a layer of its own; delete the layer, or take the tick away"
            with box.changed.blocked():
                box.value = there
            if not box.enabled and reason:
                reasons.append(reason)
        self.why.setText("\n".join(dict.fromkeys(reasons)))
        layers = [] if section is None else maps.maps_on(self._viewer, section)
        shown = [one for layer in reversed(layers) if (one := maps.map_of(layer)) is not None]
        self.bar.show_scales(list(dict.fromkeys(maps.strip_of(one) for one in shown if not one.classes)))
        named = next((one.classes for one in shown if one.classes), ())
        self.classes.setText("<br>".join(maps.class_marks(named)))

    def _on_tick(self, kind: str, on: bool) -> None:
        section = section_of(self._layer.value)
        if section is None:
            return
        if on:
            maps.show_map(self._viewer, self._layer.value, spot_map(section, kind, self._state.gene))
        elif (layer := maps.find_map(self._viewer, section, kind)) is not None:
            self._viewer.layers.remove(layer)
        self.refresh()

    def _on_gene(self, *_: object) -> None:
        """The map of the interval follows the gene shown, where it was predicted."""
        section = section_of(self._layer.value)
        if section is not None and not lacking(section, INTERVAL, self._state.gene):
            there = maps.find_map(self._viewer, section, INTERVAL)
            if there is not None:
                maps.renew(self._viewer, there, spot_map(section, INTERVAL, self._state.gene))
        self.refresh()
