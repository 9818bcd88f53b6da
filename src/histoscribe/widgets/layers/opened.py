"""What was opened as layers: a slide, or a section with its H&E, its spots and the regions it brought."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from napari.layers import Layer
from napari.utils.notifications import show_warning

from histoscribe.errors import RegionError
from histoscribe.evaluation.regions import kept_regions
from histoscribe.section import Section
from histoscribe.slide import Slide
from histoscribe.widgets.layers.layers import (
    TISSUE,
    LayerData,
    is_same,
    placed_like,
    slide_layer,
    slide_of,
    spot_layer,
)
from histoscribe.widgets.layers.raster import raster_layer
from histoscribe.widgets.layers.regions import described_regions

MOST_POINTS = 100_000


def layers_of(opened: Section | Slide, beside: Iterable[Layer] = ()) -> list[LayerData]:
    """Layer data of whatever was opened; `beside`: as in `section_layers`."""
    return [slide_layer(opened)] if isinstance(opened, Slide) else section_layers(opened, beside)


def shown_spots(section: Section) -> LayerData:
    """Describe the spots of a section as points; more than `MOST_POINTS` bins as a raster."""
    if section.table.n_obs > MOST_POINTS:
        found = raster_layer(section)
        if found is not None:
            return found
    return spot_layer(section)


def section_layers(section: Section, beside: Iterable[Layer] = ()) -> list[LayerData]:
    """Describe a section as its H&E, where it has one, its spots above it, and the regions it brought along.

    Where one of the layers `beside` shows its H&E already, the spots are laid on that, wherever it was moved.
    How the H&E was found to fit stands in the metadata under `alignment`, and in its name where the spots had
    been placed on another level; the section's doubts are listed among the slide's.
    """
    beneath = next((layer for layer in beside if _shows(layer, section)), None)
    shown = slide_of(beneath)
    if shown is not None and not is_same(section.slide, shown):
        section = replace(section, slide=shown)
    spots = shown_spots(section)
    spots[1]["metadata"]["alignment"] = section.alignment
    above = [spots, *_kept_regions(section)]
    if beneath is not None:
        return [placed_like(one, beneath) for one in above]
    if section.slide is None:
        return above
    fit = "" if section.alignment in ("", "fits") else f" ({section.alignment})"
    doubts = tuple(dict.fromkeys((*section.slide.warnings, *section.warnings)))
    slide = replace(section.scaled_slide, warnings=doubts)
    image = slide_layer(slide, name=f"{section.name} H&E{fit}")
    image[1]["metadata"]["alignment"] = section.alignment
    return [image, *above]


def _shows(layer: Layer, section: Section) -> bool:
    """Whether a layer shows the very image that a section lies on, at the section's scale."""
    shown, own = slide_of(layer), section.slide
    if shown is None or own is None or shown.mpp is None or not math.isclose(shown.mpp, section.mpp):
        return False
    if is_same(shown, own):
        return True
    places = {one.url or one.path.resolve() for one in (shown, own)}
    levels = {tuple((level.shape, level.downsample) for level in one.levels) for one in (shown, own)}
    return len(places) == len(levels) == 1 and bool(own.url or own.path.exists())


def _kept_regions(section: Section) -> list[LayerData]:
    """The regions that the section's table brought along; damaged ones are told and left out."""
    try:
        regions = kept_regions(section.table)
    except RegionError as error:
        show_warning(str(error))
        return []
    if not regions:
        return []
    drawn = described_regions(regions, section.mpp, f"{section.name} regions")
    drawn[1]["metadata"] = {TISSUE: section.name}
    return [drawn]
