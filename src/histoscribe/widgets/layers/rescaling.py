"""Another scale for a slide: every layer that lies on it goes along."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points, Shapes
from numpy.typing import NDArray

from histoscribe.record import amend_record, record_of
from histoscribe.widgets.layers.layers import (
    OF,
    UM,
    LayerData,
    is_same,
    moved,
    placed,
    section_of,
    slide_layer,
    slide_of,
    spot_layer,
)
from histoscribe.widgets.layers.raster import is_raster, raster_layer

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from histoscribe.section import Section
    from histoscribe.slide import Slide


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
    return (
        isinstance(layer, Points | Shapes)
        and layer.ndim == 2
        and section_of(layer) is None
        and OF not in layer.metadata
        and len(layer.data) > 0
    )


def _growth(beneath: list[Layer], drawn: Layer, factor: float) -> NDArray[np.float64]:
    """How a drawing on one of these layers grows with it; not at all where it lies elsewhere."""
    middle = drawn.extent.world.mean(axis=0)
    for layer in beneath:
        low, high = layer.extent.world
        if (low <= middle).all() and (middle <= high).all():
            lies = moved(layer)
            growth: NDArray[np.float64] = lies @ np.diag([factor, factor, 1.0]) @ np.linalg.inv(lies)
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
        layer.metadata["raster"] = raster = replace(
            raster, affine=np.diag([factor, factor, 1.0]) @ raster.affine
        )
        described = raster_layer(section, raster=raster) or described
    elif isinstance(layer, Points):
        layer.data, layer.size = section.centres_um, section.spot_um
    _place(layer, placed(described, lies))


def _place(layer: Layer, described: LayerData) -> None:
    about = described[1]
    layer.rotate, layer.shear, layer.units = 0, (0.0,), about["units"]
    layer.scale, layer.translate = about.get("scale", (1, 1)), about.get("translate", (0, 0))
    layer.affine = about.get("affine", np.eye(3))
