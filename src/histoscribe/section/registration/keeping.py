"""A section that was aligned: laid on another slide, or keeping how it lies on its neighbour."""

import json
from dataclasses import replace
from typing import Any

import numpy as np

from histoscribe.arrays import Wide
from histoscribe.errors import SectionError
from histoscribe.record import AlignedTo, amend_record, record_of
from histoscribe.section.alignment import laid_on
from histoscribe.section.assembly import finished
from histoscribe.section.model import Section, flip
from histoscribe.section.registration.transform import Registration, through
from histoscribe.slide import Slide

_SAME_SCALE = 0.02


def keep_alignment(section: Section, name: str, found: Registration) -> None:
    """Let a section's table say how it lies on another section, or slide, of that name; its places stay."""
    affine = tuple(tuple(map(float, row)) for row in found.affine)
    amend_record(section.table, aligned=AlignedTo(name, affine, found.method, found.residual_um))


def lay_on(section: Section, slide: Slide, found: Registration) -> Section:
    """The section on another slide: its spots and the regions that its table keeps in that slide's pixels.

    Parameters
    ----------
    section : Section
        The moving tissue; it is left as it is.
    slide : Slide
        The fixed one, with known µm per pixel; those of the spots' lattice are believed where they differ.
    found : Registration
        How the one lies on the other.

    Raises
    ------
    SectionError
        If more than 2 % of the spots would lie outside the slide, or its µm per pixel are unknown.
    """
    if slide.mpp is None:
        raise SectionError("the slide's µm per pixel are unknown", where=slide.name, remedy="state them")
    to_pixels = np.diag([1 / slide.mpp, 1 / slide.mpp, 1.0]) @ found.affine
    scale = float(np.sqrt(abs(np.linalg.det(found.affine[:2, :2]))))
    mpp, stated = slide.mpp / scale, slide.mpp
    centres = through(to_pixels, section.centres_um)
    beneath, centres, mpp, alignment = laid_on(slide.with_mpp(mpp), centres, mpp, expected=slide.shape)
    doubts = [*section.warnings, *alignment.warnings]
    if abs(scale - 1) > _SAME_SCALE:
        doubts.append(
            f"the slide states {stated:.4g} µm per pixel, the spots say {mpp:.4g}; the spots were believed"
        )
    table = section.table.copy()
    table.obsm["spatial"] = flip(centres)
    table.uns.pop("spatial", None)
    regions = record_of(table).regions
    if regions:
        to_pixels = to_pixels @ np.diag([section.mpp, section.mpp, 1.0])
        amend_record(table, regions=json.dumps(_drawn_through(to_pixels, json.loads(regions))))
    laid = replace(
        section,
        table=table,
        slide=beneath,
        mpp=mpp,
        warnings=tuple(doubts),
        alignment=f"aligned, {found.method}",
    )
    keep_alignment(laid, slide.name, found)
    return finished(laid, record_of(table).kind or "measured")


def _drawn_through(affine: Wide, drawn: Any) -> Any:
    """GeoJSON with every place (x, y) mapped."""
    if isinstance(drawn, dict):
        places = ("coordinates", "geometry", "geometries", "features", "nucleusGeometry")
        return {key: _drawn_through(affine, one) if key in places else one for key, one in drawn.items()}
    if isinstance(drawn, list) and len(drawn) >= 2 and all(isinstance(one, int | float) for one in drawn):
        return flip(through(affine, [drawn[1::-1]]))[0].tolist()
    return [_drawn_through(affine, one) for one in drawn] if isinstance(drawn, list) else drawn
