"""What lies behind one predicted spot: its reference spots, its interval, whether its tissue is foreign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError

if TYPE_CHECKING:
    from histoscribe.section import Section

Picture = NDArray[np.uint8]

MOST = 8
_CROP_UM = 150.0
_PIXELS = 96


@dataclass(frozen=True, eq=False)
class Reference:
    """One reference spot: where it comes from, its share in the prediction, its crop where there is one."""

    section: str
    spot: str
    share: float
    crop: Picture | None


@dataclass(frozen=True, eq=False)
class Behind:
    """All that is known of one predicted spot."""

    name: str
    """The spot's."""
    crop: Picture | None
    """The tissue itself, where its slide is at hand."""
    references: tuple[Reference, ...]
    """Those that weigh most, weightiest first."""
    others: float
    """The share of all other reference spots."""
    novelty: float | None
    """Distance from the training tissue; above 1 is further than 99 % of the training tissue."""


def has_evidence(section: Section | None) -> bool:
    """Whether a section's table says on which reference spots it rests."""
    return section is not None and "evidence" in section.table.obsm


def behind(section: Section, row: int, at_hand: Mapping[str, Section]) -> Behind:
    """Collect what lies behind a predicted spot; reads a few crops, so run it off the GUI thread.

    Crops that the table does not hold are cut from the slides of measured sections `at_hand`, by name. Raises
    `ModelError` if the table holds no evidence, or a damaged crop.
    """
    from histoscribe.predictor.retrieval.evidence import evidence_of

    found = evidence_of(section.table, row)
    references = [
        Reference(name, spot, share, _reference_crop(at_hand.get(name), spot) if kept is None else kept)
        for name, spot, share, kept in found[:MOST]
    ]
    obs = section.table.obs
    return Behind(
        name=str(obs.index[row]),
        crop=spot_crop(section, row),
        references=tuple(references),
        others=sum(share for _, _, share, _ in found[MOST:]),
        novelty=float(obs["novelty"].iloc[row]) if "novelty" in obs else None,
    )


def interval_of(section: Section, row: int, gene: str) -> tuple[float, float] | None:
    """The prediction interval of a gene at a spot; None where the table has none."""
    layers = section.table.layers
    if gene not in section.table.var_names or not {"low", "high"} <= set(layers):
        return None
    column = section.table.var_names.get_loc(gene)
    low, high = (float(layers[end][row, column]) for end in ("low", "high"))
    return low, high


def spot_crop(section: Section, row: int) -> Picture | None:
    """The tissue around a spot, 150 µm wide; None without slide, or where it cannot be read."""
    if section.slide is None:
        return None
    from histoscribe.slide import Window

    side = _CROP_UM / section.mpp
    top, left = section.centres[row] - side / 2
    whole = Window(round(float(top)), round(float(left)), round(side), round(side))
    try:
        return section.slide.with_mpp(section.mpp).read(whole, _CROP_UM / _PIXELS)
    except SlideError:
        return None


def _reference_crop(section: Section | None, spot: str) -> Picture | None:
    if section is None or spot not in section.table.obs_names:
        return None
    return spot_crop(section, int(section.table.obs_names.get_loc(spot)))
