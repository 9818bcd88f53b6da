"""What was opened as layers: a slide, or a section with its H&E, its spots and the regions it brought."""

from __future__ import annotations

from dataclasses import replace

from napari.utils.notifications import show_warning

from histoscribe.errors import RegionError
from histoscribe.evaluation.regions import kept_regions
from histoscribe.section import Section
from histoscribe.slide import Slide
from histoscribe.widgets.layers.layers import TISSUE, LayerData, slide_layer, spot_layer
from histoscribe.widgets.layers.raster import raster_layer
from histoscribe.widgets.layers.regions import described_regions

MOST_POINTS = 100_000


def layers_of(opened: Section | Slide) -> list[LayerData]:
    """Layer data of whatever was opened."""
    return [slide_layer(opened)] if isinstance(opened, Slide) else section_layers(opened)


def shown_spots(section: Section) -> LayerData:
    """Describe the spots of a section as points; more than `MOST_POINTS` bins as a raster."""
    if section.table.n_obs > MOST_POINTS:
        found = raster_layer(section)
        if found is not None:
            return found
    return spot_layer(section)


def section_layers(section: Section) -> list[LayerData]:
    """Describe a section as its H&E, where it has one, its spots above it, and the regions it brought along.

    How the H&E was found to fit stands in the metadata under `alignment`, and in its name where the spots had
    been placed on another level; the section's doubts are listed among the slide's.
    """
    spots = shown_spots(section)
    spots[1]["metadata"]["alignment"] = section.alignment
    above = [spots, *_kept_regions(section)]
    if section.slide is None:
        return above
    fit = "" if section.alignment in ("", "fits") else f" ({section.alignment})"
    doubts = tuple(dict.fromkeys((*section.slide.warnings, *section.warnings)))
    slide = replace(section.scaled_slide, warnings=doubts)
    image = slide_layer(slide, name=f"{section.name} H&E{fit}")
    image[1]["metadata"]["alignment"] = section.alignment
    return [image, *above]


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
