"""Another scale or place for a tissue: every layer that shows it, or is drawn on it, goes along."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer, Points, Shapes

from histoscribe.arrays import Wide
from histoscribe.record import amend_record, record_of
from histoscribe.section import Section
from histoscribe.slide import Slide
from histoscribe.widgets.layers.layers import (
    LAID,
    OF,
    TISSUE,
    UM,
    LayerData,
    is_same,
    moved,
    placed,
    section_of,
    shared_by,
    slide_layer,
    slide_of,
    spot_layer,
)
from histoscribe.widgets.layers.pictures.drawn_regions import held_regions
from histoscribe.widgets.layers.raster import is_raster, raster_layer

Places = list[tuple["Layer", Wide, object]]
"""Layers with their affine and by how much they were laid aside."""


def set_mpp(viewer: ViewerModel, slide: Slide, mpp: float) -> None:
    """Give a slide its µm per full-resolution pixel; predictions, maps and drawings keep their pixels."""
    beneath = [layer for layer in viewer.layers if is_same(slide_of(layer), slide)]
    factor, scaled = mpp / (slide.mpp or 1.0), slide.with_mpp(mpp)
    drawn = {layer: _growth(beneath, layer, factor) for layer in viewer.layers if _is_drawn(layer)}
    sections: dict[int, Section] = {}
    for layer in viewer.layers:
        section = layer.metadata.get(OF) or section_of(layer)
        if layer in beneath:
            described = placed(slide_layer(scaled), moved(layer))
            if slide.name in layer.name and "unknown" in layer.name:
                layer.name = described[1]["name"]
            layer.metadata["slide"] = scaled
            _place(layer, described)
        elif section is not None and is_same(section.slide, slide):
            again = sections.setdefault(id(section), _rescaled(section, mpp, factor))
            _respot(layer, again, factor)
    for layer, growth in drawn.items():
        layer.affine = growth @ layer.affine.affine_matrix[-3:, -3:]
        layer.units = (UM, UM)
    viewer.fit_to_view()


def _is_drawn(layer: Layer) -> bool:
    return bool(held_regions(layer)) or (
        isinstance(layer, Points | Shapes)
        and layer.ndim == 2
        and section_of(layer) is None
        and OF not in layer.metadata
        and len(layer.data) > 0
    )


def _growth(beneath: list[Layer], drawn: Layer, factor: float) -> Wide:
    """How a drawing on one of these layers grows with it; not at all where it lies elsewhere."""
    middle = drawn.extent.world.mean(axis=0)
    for layer in beneath:
        low, high = layer.extent.world
        if (low <= middle).all() and (middle <= high).all():
            lies = moved(layer)
            growth: Wide = lies @ np.diag([factor, factor, 1.0]) @ np.linalg.inv(lies)
            return growth
    return np.eye(3)


def _rescaled(section: Section, mpp: float, factor: float) -> Section:
    assert section.slide is not None
    pitch = None if section.pitch_um is None else section.pitch_um * factor
    lengths: dict[str, Any] = {"mpp": mpp, "spot_um": section.spot_um * factor, "pitch_um": pitch}
    if record_of(section.table).mpp is not None:
        amend_record(section.table, **lengths)
    return replace(section, slide=section.slide.with_mpp(mpp), **lengths)


def _respot(layer: Layer, section: Section, factor: float) -> None:
    """Show spots, or a map of them, at their new scale."""
    lies, raster = moved(layer), layer.metadata.get("raster")
    layer.metadata[OF if OF in layer.metadata else "section"] = section
    described = spot_layer(section)
    if is_raster(layer):
        larger = np.diag([factor, factor, 1.0]) @ raster.affine
        layer.metadata["raster"] = raster = replace(raster, affine=larger)
        described = raster_layer(section, raster=raster) or described
    elif isinstance(layer, Points):
        layer.data, layer.size = section.centres_um, section.spot_um
    _place(layer, placed(described, lies))


def _place(layer: Layer, described: LayerData) -> None:
    about = described[1]
    layer.rotate, layer.shear, layer.units = 0, (0.0,), about["units"]
    layer.scale, layer.translate = about.get("scale", (1, 1)), about.get("translate", (0, 0))
    layer.affine = about.get("affine", np.eye(3))


def lies_on(moving: Layer, fixed: Layer) -> Wide:
    """How one tissue lies on another as they are shown, from µm to µm, 3 × 3."""
    found: Wide = np.linalg.inv(moved(fixed)) @ moved(moving)
    return found


def lay_tissue(viewer: ViewerModel, moving: Layer, fixed: Layer, affine: Wide) -> Places:
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
