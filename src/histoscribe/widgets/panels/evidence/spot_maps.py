"""What a predicted table says of every spot besides its genes, as maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.record import record_of
from histoscribe.widgets.layers.colours import DIFFERENCE, UNITS
from histoscribe.widgets.layers.maps import Map, spread

if TYPE_CHECKING:
    from histoscribe.section import Section

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
    """Why a map cannot be shown, and what would help; empty where it can.

    Parameters
    ----------
    section : Section
        Predicted.
    kind : str
        One of `KINDS`.
    gene : str
        The gene shown; empty where none is.
    """
    table = section.table
    if kind == INTERVAL:
        if not {"low", "high"} <= set(table.layers):
            return "The intervals are unknown: the model had no section to hold out."
        return "" if gene in table.var_names else "The gene shown was not predicted here: choose another."
    if kind in table.obs and _is_readable(table.obs[kind].to_numpy(), kind):
        return ""
    return _NO_GRAPHS if kind in (SPATIAL, FUNCTIONAL) else "This prediction does not say it; predict again."


def spot_map(section: Section, kind: str, gene: str) -> Map:
    """The values of a map that is not `lacking`."""
    table = section.table
    if kind == INTERVAL:
        column = table.var_names.get_loc(gene)
        low, high = (np.asarray(table.layers[end][:, column], dtype=np.float32) for end in ("low", "high"))
        width = high - low
        legend = f"{gene}, width of the 90 % interval"
        return Map(kind, legend, UNITS, width, spread(width), legend=legend)
    found = table.obs[kind].to_numpy()
    if kind == TYPES:
        types = found.astype(np.int64)
        named = list(record_of(table).type_names)
        named += [f"type {number + 1}" for number in range(len(named), int(types.max()) + 1)]
        return Map(kind, "spot type", "read from the image", types, classes=tuple(named))
    values = found.astype(np.float32)
    if kind == NOVELTY:
        unit = "above 1: further than 99 % of it"
        title, legend = "distance from the training tissue", "distance from the training tissue, limit 1"
        return Map(kind, title, unit, values, (0.0, 2.0), DIFFERENCE, legend=legend)
    graph = kind.removeprefix("attention_")
    title, legend = f"attention along the {graph} graph", f"attention received, {graph} graph"
    return Map(kind, title, _ATTENTION, values, spread(values), legend=legend)


def _is_readable(values: NDArray[Any], kind: str) -> bool:
    """Whether a column of a file holds numbers, and types can be counted."""
    if kind != TYPES:
        return values.dtype.kind in "iuf"
    return values.dtype.kind in "iu" and values.size > 0 and 0 <= values.min() <= values.max() < _MOST_TYPES
