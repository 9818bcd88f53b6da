"""Panes: one grid cell per layer of spots, the H&E repeated beneath each, cameras linked."""

from __future__ import annotations

from collections.abc import Container, Iterable

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer

from histoscribe.arrays import Wide
from histoscribe.slide import Slide
from histoscribe.widgets.layers.layers import (
    BROUGHT,
    DERIVED,
    GENE,
    LAID,
    OF,
    TISSUE,
    UM,
    add_layer,
    kind_of,
    known_section,
    placed_like,
    section_of,
    shared_by,
    slide_layer,
    slide_of,
)
from histoscribe.widgets.layers.painting import painted_layers, spot_layers
from histoscribe.widgets.layers.raster import like
from histoscribe.widgets.layers.rescaling import lay_as_kept

_COPY = "copy"
_MOST_IN_A_ROW = 3
_APART = 0.05


def is_side_by_side(viewer: ViewerModel) -> bool:
    """Whether the grid is on."""
    return bool(viewer.canvas.grid.enabled)


def is_copy(layer: Layer) -> bool:
    """Whether a layer is only there to fill a pane."""
    return _COPY in layer.metadata


def side_by_side(viewer: ViewerModel, on: bool, genes: tuple[str, ...] = ()) -> None:
    """Give every visible layer of spots a grid cell of its own above its H&E, or stack all layers again.

    A repeated H&E is another layer on the same arrays; all else is hidden while the grid is on, and what
    would mix its colours when it ends. For each of `genes`, every visible layer that was opened or predicted
    gets one cell more.
    """
    ends = is_side_by_side(viewer) and not on
    viewer.canvas.grid.enabled = False
    for layer in [layer for layer in viewer.layers if is_copy(layer)]:
        viewer.layers.remove(layer)
    _bring_together(viewer, False)
    spots = [layer for layer in painted_layers(viewer) if layer.visible]
    if on:
        spots = [one for layer in spots for one in (layer, *_panes(viewer, layer, genes))]
    for layer in spots:
        layer.name_overlay.visible = on
        layer.name_overlay.font_size = 12
    uppermost = sorted(enumerate(spots), key=lambda one: (DERIVED in one[1].metadata, -one[0]))
    for _, layer in uppermost if ends else ():
        if layer.visible:
            uncover(viewer, layer)
    if not on or not spots:
        return
    slides = _slides(spots)
    columns = [_backdrops(viewer, spots, slides), spots] if any(slides) else [spots]
    cells = [layer for cell in zip(*columns, strict=True) for layer in cell]
    show_only(viewer.layers, cells)
    for place, layer in enumerate(cells):
        viewer.layers.move(viewer.layers.index(layer), place)
    _bring_together(viewer, True)
    grid = viewer.canvas.grid
    grid.stride = len(columns)
    grid.shape = (1, len(spots)) if len(spots) <= _MOST_IN_A_ROW else (-1, -1)
    grid.spacing = 6
    grid.enabled = True


def lay_out(viewer: ViewerModel) -> None:
    """Lay tissue as its record says, else what was opened at the place of other tissue beside it."""
    lay_as_kept(viewer)
    groups: list[tuple[set[object], list[Layer]]] = []
    for layer in viewer.layers:
        keys = shared_by(layer)
        same = [group for group in groups if keys & group[0]]
        groups = [group for group in groups if group not in same]
        if keys:
            groups.append(
                (keys.union(*(one for one, _ in same)), [*(one for _, some in same for one in some), layer])
            )
    taken: list[Wide] = []
    for _, layers in groups:
        boxes = np.array([layer.extent.world[:, -2:] for layer in layers])
        box = np.array([boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)])
        free = all((box[0] >= one[1]).any() or (box[1] <= one[0]).any() for one in taken)
        if not free and not any(LAID in layer.metadata for layer in layers):
            offset = np.array([0.0, max(one[1, 1] for one in taken) - box[0, 1] + _APART * np.ptp(box[:, 1])])
            for layer in layers:
                _shift(layer, offset)
                layer.metadata[LAID] = offset
            box = box + offset
        taken.append(box)


def _shift(layer: Layer, by: Wide) -> None:
    moved = np.eye(layer.ndim + 1)
    moved[-3:-1, -1] = by
    layer.affine = moved @ layer.affine.affine_matrix


def _bring_together(viewer: ViewerModel, on: bool) -> None:
    """Panes share one camera: what was laid aside is brought back for them; regions stay, and are hidden."""
    for layer in viewer.layers:
        if LAID in layer.metadata and TISSUE not in layer.metadata and (BROUGHT in layer.metadata) is not on:
            offset = layer.metadata[LAID]
            _shift(layer, -offset if on else offset)
            if on:
                layer.metadata[BROUGHT] = offset
            else:
                del layer.metadata[BROUGHT]


def uncover(viewer: ViewerModel, layer: Layer, but: Layer | None = None) -> list[Layer]:
    """Hide, and return, what of the same tissue would mix its colours with a layer's; nothing in panes."""
    if is_side_by_side(viewer):
        return []
    of = shared_by(layer)
    spots = [one for one in viewer.layers if section_of(one) is not None or OF in one.metadata]
    hidden = [one for one in spots if one not in (layer, but) and one.visible and of & shared_by(one)]
    show_only(spots, [one for one in spots if one.visible and one not in hidden])
    return hidden


def show_only(layers: Iterable[Layer], shown: Container[Layer]) -> None:
    """Show some of the layers and hide the others; napari prepares all anew even where nothing changes."""
    for layer in layers:
        if layer.visible is not (layer in shown):
            layer.visible = layer in shown


def _panes(viewer: ViewerModel, layer: Layer, genes: tuple[str, ...]) -> list[Layer]:
    """Copies of a layer of spots, each for one gene."""
    if layer not in spot_layers(viewer):
        return []
    section, panes = known_section(layer), []
    for gene in genes:
        described = like(layer, section, f"{section.name} {kind_of(section)}, {gene}")
        described[1]["metadata"] |= {_COPY: True, DERIVED: "pane", GENE: gene}
        panes.append(add_layer(viewer, described))
    return panes


def _backdrops(viewer: ViewerModel, spots: list[Layer], slides: list[Slide | None]) -> list[Layer]:
    """One layer to lie beneath each layer of spots: the H&E at hand first, then copies of it."""
    free = {layer: its for layer in viewer.layers if (its := slide_of(layer)) is not None}
    found = []
    for layer, slide in zip(spots, slides, strict=True):
        own = [one for one, lies in free.items() if slide is not None and lies.levels is slide.levels]
        if own:
            del free[own[0]]
        found.append(own[0] if own else _copy(viewer, slide, layer))
    return found


def _slides(spots: list[Layer]) -> list[Slide | None]:
    """The slide of each layer's section; where it has none, that of another layer of the same section."""
    sections, found = [known_section(layer) for layer in spots], []
    for section in sections:
        same = (one for one in (section, *sections) if one.name == section.name)
        found.append(next((one.scaled_slide for one in same if one.slide is not None), None))
    return found


def _copy(viewer: ViewerModel, slide: Slide | None, above: Layer) -> Layer:
    section = known_section(above)
    if slide is None:
        nothing = {"name": f"{section.name} without H&E", "units": (UM, UM), "metadata": {_COPY: True}}
        return viewer.add_points(np.empty((0, 2)), **nothing)
    described = placed_like(slide_layer(slide, name=f"{section.name} H&E, repeated"), above)
    described[1]["metadata"][_COPY] = True
    return add_layer(viewer, described)
