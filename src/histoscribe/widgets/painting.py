"""Painting a gene on every layer of spots that has it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from histoscribe.widgets.layers import UNPAINTED, kind_of, section_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Points

    from histoscribe.section import Section
    from histoscribe.widgets.state import ViewState

Limits = tuple[float, float]

_DEPTH = 10_000.0
_COLOUR_BAR = (20, 110)
_totals: WeakKeyDictionary[Section, NDArray[np.float64]] = WeakKeyDictionary()


def spot_layers(viewer: ViewerModel) -> list[Points]:
    """The layers of spots that Histoscribe knows, in the order of the layer list."""
    return [layer for layer in viewer.layers if section_of(layer) is not None]


def expression(section: Section, gene: str) -> NDArray[np.float32]:
    """One gene on the scale that measured and predicted share: log1p of counts per 10,000.

    Returns
    -------
    ndarray of float32, shape (spots,)
    """
    from histoscribe.section import gene_column

    values = gene_column(section, gene)
    if kind_of(section) != "measured":
        return values
    depth = _depth(section)
    scaled = np.divide(values * _DEPTH, depth, out=np.zeros(len(depth)), where=depth > 0)
    return np.log1p(scaled).astype(np.float32)


def held_out_scores(section: Section) -> dict[str, float]:
    """Pearson r of each predicted gene on tissue that its model had not seen; empty where unknown."""
    if "held_out_r" not in section.table.var:
        return {}
    scores = section.table.var["held_out_r"].astype(float).dropna()
    return dict(zip(map(str, scores.index), scores, strict=True))


def paint(viewer: ViewerModel, state: ViewState) -> dict[str, Limits]:
    """Paint the chosen gene on all layers of spots; those that lack it turn plain.

    Returns
    -------
    dict
        Colour limits by layer name, of the painted layers.
    """
    layers = spot_layers(viewer)
    painted = {
        layer: expression(section_of(layer), state.gene) for layer in layers if _has(layer, state.gene)
    }
    for layer in layers:
        if layer not in painted:
            _unpaint(layer)
    each = {layer: limits([values], state) for layer, values in painted.items()}
    if state.shared and painted:
        common = limits(painted.values(), state)
        each = dict.fromkeys(painted, common)
    for layer, values in painted.items():
        _recolour(layer, state.gene, values, each[layer], state.colour_map)
    _write_gene(viewer, state.gene if painted else "")
    return {layer.name: bounds for layer, bounds in each.items()}


def limits(values: Iterable[NDArray[np.float32]], state: ViewState) -> Limits:
    """The state's percentiles over all values together, never an empty interval."""
    pooled = np.concatenate(list(values))
    pooled = pooled[np.isfinite(pooled)]
    if not pooled.size:
        return 0.0, 1.0
    low, high = np.percentile(pooled, (state.low, state.high))
    if high <= low:
        low, high = pooled.min(), pooled.max()
    return float(low), float(high if high > low else low + 1.0)


def _has(layer: Points, gene: str) -> bool:
    return gene in section_of(layer).table.var_names


def _depth(section: Section) -> NDArray[np.float64]:
    if section not in _totals:
        _totals[section] = np.asarray(section.table.X.sum(axis=1), dtype=np.float64).ravel()
    return _totals[section]


def _recolour(layer: Points, gene: str, values: NDArray[np.float32], bounds: Limits, colour_map: str) -> None:
    kept = {name: layer.features[name] for name in layer.features if name != gene}
    layer.features = {**kept, gene: values}
    layer.face_contrast_limits = bounds
    layer.face_colormap = colour_map
    layer.face_color = gene
    if kept:
        layer.features = {gene: values}
    layer.face_colorbar.size = _COLOUR_BAR
    layer.face_colorbar.visible = True


def _unpaint(layer: Points) -> None:
    layer.face_colorbar.visible = False
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="property used for face_color dropped")
        layer.features = {}
    layer.face_color = UNPAINTED


def _write_gene(viewer: ViewerModel, gene: str) -> None:
    text = viewer.canvas.overlays.text
    text.text = gene
    text.position = "bottom_left"
    text.font_size = 16
    text.visible = bool(gene)
