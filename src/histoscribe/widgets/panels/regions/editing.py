"""Regions that are too many to be shapes: some of them taken out to be edited, and put back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari.layers import Layer

from histoscribe.errors import RegionError
from histoscribe.widgets.layers.layers import tissue_of
from histoscribe.widgets.layers.pictures.drawn_regions import MANY, held_regions, in_view
from histoscribe.widgets.layers.regions import described_regions, regions_of

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from histoscribe.tiles import Region

_TAKEN = "taken from"
"""In the metadata of shapes: the picture of many regions that they were taken out of."""


def edit_in_view(viewer: ViewerModel, layer: Layer | None, beneath: Layer) -> Layer:
    """Take the regions in view out of a picture as shapes, or put such shapes back.

    Returns the layer that goes on; raises `RegionError` if there is nothing to take, or too much.
    """
    source = None if layer is None else layer.metadata.get(_TAKEN)
    if layer is not None and source in viewer.layers:
        again = redrawn(viewer, source, [*regions_of(source, beneath), *regions_of(layer, beneath)], beneath)
        viewer.layers.remove(layer)
        return again
    seen = in_view(layer) if layer is not None and held_regions(layer) else []
    if layer is None or not 0 < sum(seen) <= min(MANY, len(seen) - 1):
        problem = f"{sum(seen):,} regions of a picture of many are in view, 1 to {MANY:,} can be edited"
        raise RegionError(problem, remedy="zoom in to those that are to be edited")
    parts: tuple[list[Region], list[Region]] = [], []
    for region, inside in zip(regions_of(layer, beneath), seen, strict=True):
        parts[inside].append(region)
    name, mpp = f"{layer.name}, edited", tissue_of(beneath).mpp or 1.0
    described = described_regions(parts[True], mpp, name, beneath)
    described[1]["metadata"] = {_TAKEN: redrawn(viewer, layer, parts[False], beneath)}
    return viewer.add_layer(Layer.create(*described))


def redrawn(viewer: ViewerModel, layer: Layer, regions: Sequence[Region], beneath: Layer) -> Layer:
    """A layer of other regions, or others of their classes, in the place of one."""
    described = described_regions(regions, tissue_of(beneath).mpp or 1.0, layer.name, beneath)
    again = Layer.create(*described)
    viewer.layers.insert(viewer.layers.index(layer), again)
    viewer.layers.remove(layer)
    return again
