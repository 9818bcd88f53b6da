"""One tissue laid on another: all layers that show it, or are drawn on it, go along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Points, Shapes
from numpy.typing import NDArray

from histoscribe.record import record_of
from histoscribe.widgets.layers.layers import LAID, OF, TISSUE, moved, section_of, shared_by, slide_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from histoscribe.section import Section

Places = list[tuple["Layer", NDArray[np.float64], object]]
"""Layers with their affine and by how much they were laid aside."""


def lies_on(moving: Layer, fixed: Layer) -> NDArray[np.float64]:
    """How one tissue lies on another as they are shown, from µm to µm, 3 × 3."""
    found: NDArray[np.float64] = np.linalg.inv(moved(fixed)) @ moved(moving)
    return found


def lay_tissue(viewer: ViewerModel, moving: Layer, fixed: Layer, affine: NDArray[np.float64]) -> Places:
    """Move a tissue so that `affine` maps its µm to those of another; what was drawn on it goes along.

    Returns how all its layers lay before, for `put_back`.
    """
    layers = _of_tissue(viewer, moving)
    low, high = moving.extent.world[:, -2:]
    below, above = fixed.extent.world[:, -2:]
    for layer in viewer.layers:
        drawn = isinstance(layer, Shapes | Points) and layer.ndim == 2 and not shared_by(layer)
        if drawn and len(layer.data):
            middle = layer.extent.world.mean(axis=0)
            on_other = ((below <= middle) & (middle <= above)).all()
            if ((low <= middle) & (middle <= high)).all() and not on_other:
                layers.append(layer)
                layer.metadata[TISSUE] = next((one.name for one in sections_on(viewer, moving)), "")
    before: Places = [(one, one.affine.affine_matrix.copy(), one.metadata.get(LAID)) for one in layers]
    there = moved(fixed) @ affine @ np.linalg.inv(moved(moving))
    for layer in layers:
        by = np.eye(layer.ndim + 1)
        by[-3:, -3:] = there
        layer.affine = by @ layer.affine.affine_matrix
        layer.metadata[LAID] = fixed.metadata.get(LAID, np.zeros(2))
    return before


def put_back(before: Places) -> None:
    """Lay layers where they lay; those that are gone do no harm."""
    for layer, affine, aside in before:
        layer.affine = affine
        layer.metadata.pop(LAID, None)
        if aside is not None:
            layer.metadata[LAID] = aside


def sections_on(viewer: ViewerModel, layer: Layer) -> list[Section]:
    """The sections of a layer's tissue that are shown, each once."""
    found = {id(one): one for each in _of_tissue(viewer, layer) if (one := section_of(each)) is not None}
    return list(found.values())


def lay_as_kept(viewer: ViewerModel) -> None:
    """Lay every section that says how it lies on another one, or slide, that is shown."""
    for layer in list(viewer.layers):
        section = section_of(layer)
        kept = None if section is None else record_of(section.table).aligned
        if section is None or kept is None or LAID in layer.metadata:
            continue
        for other in viewer.layers:
            shown, slide = section_of(other) or other.metadata.get(OF), slide_of(other)
            named = shown.name if shown is not None else slide.name if slide is not None else ""
            if named == kept.name and not shared_by(layer) & shared_by(other):
                lay_tissue(viewer, layer, other, np.array(kept.affine))
                break


def _of_tissue(viewer: ViewerModel, layer: Layer) -> list[Layer]:
    keys, found = shared_by(layer), [layer]
    while more := [one for one in viewer.layers if one not in found and shared_by(one) & keys]:
        found += more
        keys = keys.union(*map(shared_by, more))
    return found
