"""A prediction as the viewer asks for it: a frozen request, a plain call, a section that comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from histoscribe.arrays import Wide
from histoscribe.progress import Progress
from histoscribe.record import record_of
from histoscribe.section import Section
from histoscribe.slide import Slide
from histoscribe.widgets.jobs.loading import PREDICTING, load_libraries
from histoscribe.widgets.layers.layers import LayerData
from histoscribe.widgets.layers.opened import shown_spots

Where = Literal["spots", "grid", "region"]


@dataclass(frozen=True, eq=False)
class PredictRequest:
    """What to predict, with what, and where."""

    model: Path
    """A model's folder."""
    target: Slide | Section
    """What to look at."""
    where: Where
    """The section's own spots, a grid over all tissue, or a grid inside drawn regions."""
    pitch_um: float = 55.0
    """Distance of neighbouring grid points in µm."""
    regions: tuple[Wide, ...] = ()
    """(row, column) in full-resolution pixels, for `where="region"`, shape (corners, 2)."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `mps`."""
    own: bool = False
    """Whether the model learns from the section's own spots."""


_TILES_PER_SECOND = {"builtin-1": 50, "builtin-1+texture-1": 15}
"""On two busy cores, by the encoder's full name: the first of docs/benchmarks/slides.md; with the second,
`describe` took 112 s for the 1,518 spots of the sample. Of other encoders nothing is said."""


def cost_words(
    target: Slide | Section | None, where: Where, pitch_um: float, regions: Sequence[Wide], encoder: str
) -> str:
    """How many tiles the model's `encoder` will look at and roughly how long that takes.

    Empty where it cannot be told; without the time for an encoder of unknown speed.
    """
    from shapely import Polygon

    mpp = None if target is None else target.mpp
    if target is None or (where != "spots" and mpp is None) or not pitch_um:
        return ""
    if where == "spots":
        tiles, about = (target.table.n_obs if not isinstance(target, Slide) else 0), ""
    else:
        slide = _slide(target)
        area = sum(Polygon(one).area for one in regions) if where == "region" else np.prod(slide.shape)
        tiles, about = int(area * (mpp or 1) ** 2 / pitch_um**2), "up to "
    glass = ", for glass is left out" if where == "grid" else ""
    words = f"{about}{tiles:,} tiles{glass}"
    if encoder in _TILES_PER_SECOND:
        seconds = tiles / _TILES_PER_SECOND[encoder]
        long = f"{max(seconds, 1):.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
        words += f": {about}roughly {long} with this model's encoder on two cores"
    return f"{words[0].upper()}{words[1:]}."


def predict(request: PredictRequest, progress: Progress) -> tuple[Section, LayerData]:
    """Load the model and predict; runs on any thread. Gives the section and the layer that shows it.

    Raises `HistoscribeError` if the model or the slide cannot be used, or there is nothing to predict on.
    """
    progress.report("loading the model")
    load_libraries(*PREDICTING, "histoscribe.predictor.explaining.attention")
    from histoscribe.predictor import Predictor

    predictor = Predictor.load(request.model, device=request.device)
    if request.own and not isinstance(request.target, Slide):
        predictor = predictor.guided(request.target, progress=progress)
    if request.where == "spots":
        predicted = predictor.predict(request.target, progress=progress)
    else:
        progress.report("finding tissue")
        regions = list(request.regions) if request.where == "region" else None
        predicted = predictor.predict(
            request.target, pitch_um=request.pitch_um, region=regions, progress=progress
        )
    return predicted, shown_spots(predicted)


_BROUGHT = ((90, ".07 to .19"), (36, ".04 to .17"), (18, ".03 to .15"), (0, ".01 to .13"))
"""From how many given spots, what they added to the mean r: the least and the most of three tissues, of
docs/benchmarks/guided.md."""


def expected_words(spots: int) -> str:
    """What so many own spots can be expected to bring."""
    brought = next(words for fewest, words in _BROUGHT if spots >= fewest)
    return (
        f"Measured on three tissues of new patients, as many spots at random raised the mean r over genes by "
        f"{brought}; spots in one block bring less."
    )


def gain_words(predicted: Section) -> str:
    """What a section's own spots brought, on spots that were held out; empty where none were learned from."""
    spots = record_of(predicted.table).guide_spots
    if not spots:
        return ""
    alone, guided = (float(predicted.table.var[name].mean()) for name in ("unguided_r", "held_out_r"))
    return (
        f"Learned from {spots:,} spots of the section. On spots held out of them, the mean r over genes is "
        f"{guided:.2f}; that of the model alone is {alone:.2f}."
    )


def _slide(target: Slide | Section) -> Slide:
    if isinstance(target, Slide):
        return target
    assert target.slide is not None
    return target.slide if target.slide.mpp is not None else target.slide.with_mpp(target.mpp)
