"""Bags: the described tiles of whole slides, as many of each as memory has room for, in units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from histoscribe.arrays import Floats
from histoscribe.errors import Cancelled, HistoscribeError, SectionError, SettingError
from histoscribe.features import TileEncoder, encode_tiles
from histoscribe.predictor.inputs import Scale, scale_of, standardised
from histoscribe.progress import Progress
from histoscribe.tiles import grid_tiles, image_fineness

if TYPE_CHECKING:
    from histoscribe.section.cohort import CohortRow

PITCH_UM = 55.0
_VALUES, _MOST, _LEAST = 2**27, 2048, 64


@dataclass(frozen=True, eq=False)
class Bag:
    """One slide of a training."""

    name: str
    patient: str
    features: Floats
    """Descriptors of its tiles, or of some drawn at random, shape (tiles, d)."""
    fineness_um: float | None = None
    """µm per pixel of its image as it truly is."""


def some_of(features: Floats, most: int, name: str) -> Floats:
    """At most so many tiles, drawn by the slide's name: the same in every run."""
    if len(features) <= most:
        return features
    random = np.random.default_rng(list(name.encode()))
    return features[np.sort(random.choice(len(features), most, replace=False))]


def describe_cohort(
    rows: Sequence[CohortRow],
    encoder: TileEncoder,
    *,
    pitch_um: float = PITCH_UM,
    mpp: float | None = None,
    progress: Progress | None = None,
) -> tuple[list[Bag], list[str]]:
    """Describe the slides of a cohort, or take what `features.storing` has of them.

    Parameters
    ----------
    pitch_um : float
        Of the grid of tiles.
    mpp : float, optional
        µm per full-resolution pixel of slides that do not state it.

    Returns
    -------
    list of str
        Slides that could not be read and were left out, and why.

    Raises
    ------
    SettingError
        If fewer than two slides are named.
    HistoscribeError
        That of the first slide, where none can be read.
    """
    if len(rows) < 2:
        raise SettingError("a cohort takes two slides at least", remedy="name more slides")
    # A cohort takes half a gigabyte at most.
    most = int(np.clip(_VALUES // (len(rows) * encoder.dimension), _LEAST, _MOST))
    bags, failed = list[Bag](), list[HistoscribeError]()
    for row in rows:
        try:
            slide = row.open_slide(mpp=mpp)
            tiles = grid_tiles(slide, pitch_um)
            features = some_of(encode_tiles(slide, tiles, encoder, progress=progress), most, row.section)
            fineness = image_fineness(slide, tiles, encoder.mpp)
            bags.append(Bag(row.section, row.patient or row.section, features, fineness))
        except Cancelled:
            raise
        except HistoscribeError as error:
            failed.append(error)
    if not bags:
        raise failed[0]
    return bags, [f"a slide was left out: {error}" for error in failed]


def check_bags(bags: Sequence[Bag]) -> None:
    """Refuse slides that are named twice, or whose descriptors are missing, odd or of several lengths."""
    names = [bag.name for bag in bags]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        problem = f"slides named twice: {', '.join(twice[:3])}"
        raise SectionError(problem, remedy="give each slide its own name")
    for bag in bags:
        if bag.features.ndim != 2 or not len(bag.features):
            remedy = "describe it, or leave it out"
            raise SectionError("it has no described tiles", where=bag.name, remedy=remedy)
        if not np.isfinite(bag.features).all():
            problem = "its descriptors hold values that are not finite"
            raise SectionError(problem, where=bag.name, remedy="describe it again")
        if bag.features.shape[1] != bags[0].features.shape[1]:
            own, others = bag.features.shape[1], bags[0].features.shape[1]
            problem = f"its descriptors have {own} numbers, others {others}"
            raise SectionError(problem, where=bag.name, remedy="describe all with one encoder")


def own_units(features: Floats) -> Floats:
    """Z-scores within one slide, which take its staining out."""
    return standardised(features, scale_of(features))


def inputs_of(features: Floats, pooling: str, scale: Scale) -> Floats:
    """Units of the slide where tiles are weighed; the mean of those is nothing, so pooling by it takes those
    of the training."""
    return standardised(features, scale) if pooling == "mean" else own_units(features)
