"""Tracing a gene to the image as the viewer asks for it: a request, a plain call, the maps that come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import HistoscribeError, ModelError, SectionError, SettingError, SlideError
from histoscribe.record import record_of
from histoscribe.widgets.jobs.loading import PREDICTING, load_libraries
from histoscribe.widgets.layers.colours import DIFFERENCE, about_zero
from histoscribe.widgets.layers.maps import Map

if TYPE_CHECKING:
    from histoscribe.predictor import Attribution, Predictor
    from histoscribe.progress import Progress
    from histoscribe.section import Section

UNIT = "log expression"
REACH, DESCRIPTOR, BEHIND = "reach", "descriptor", "tiles behind"
DIFFERENT = 0.05
"""Mean difference of log expression above which the image is no longer what was predicted from."""


@dataclass(frozen=True, eq=False)
class Described:
    """A prediction's model and tiles, as found and described once more."""

    section: Section
    """The prediction."""
    folder: Path
    """The model's."""
    predictor: Predictor
    names: tuple[str, ...]
    """What each descriptor is."""
    features: NDArray[np.float32]
    """Shape (tiles, d)."""
    slide: NDArray[np.float32] | None
    """Tiles all over the slide, where the prediction was made of a part of it, shape (other tiles, d)."""
    off: float
    """Mean difference of what these tiles predict from what the section holds, in log expression."""


@dataclass(frozen=True, eq=False)
class Traced:
    """Where a gene comes from."""

    described: Described
    found: Attribution

    def reaches(self) -> list[Map]:
        """What the own tile and each reach around it bring, the own tile last, with limits in common."""
        pitch, limits, maps = self.found.pitch_um, about_zero(self.found.by_reach), []
        for place, reach in enumerate(self.found.reaches):
            far = "" if place == 0 else f", {self.found.radii[place - 1] * pitch:.0f} µm"
            title = f"{self.found.gene} from {reach}{far}"
            values = self.found.by_reach[:, place]
            kind, gene, legend = f"{REACH} {place}", self.found.gene, f"{self.found.gene} by reach, {UNIT}"
            maps.append(Map(kind, title, UNIT, values, limits, DIFFERENCE, gene, legend=legend))
        return maps[::-1]

    def descriptor(self, name: str) -> Map:
        """What one descriptor brings to each spot."""
        values = self.found.by_descriptor[:, self.described.names.index(name)]
        title, legend = f"{self.found.gene} from {name}", f"{self.found.gene} by descriptor, {UNIT}"
        return Map(DESCRIPTOR, title, UNIT, values, about_zero(values), DIFFERENCE, legend=legend)

    def behind(self, row: int) -> Map:
        """What each tile brings to one spot; NaN for those that it does not look at."""
        brought = self.found.tiles_behind(row)
        values = np.where(brought == 0, np.nan, brought)
        spot = self.described.section.table.obs_names[row]
        title, legend = f"{self.found.gene} at {spot}, tiles behind it", f"{self.found.gene} by tile, {UNIT}"
        return Map(BEHIND, title, UNIT, values, about_zero(values), DIFFERENCE, legend=legend)


_SAME = 1e-3
_MOST_BYTES = 6 * 2**30
_ARRAYS = 4  # of the size of the image input are held at once


@dataclass(frozen=True, eq=False)
class TraceRequest:
    """Which gene of which prediction to trace."""

    section: Section
    """Predicted, with its slide."""
    gene: str
    model: Path | None = None
    """The model's folder; None to look for it in `candidates` and among the models that come along."""
    candidates: Sequence[Path] = ()
    described: Described | None = None
    """What an earlier trace described; taken where it is of the same section and model."""


def check(request: TraceRequest) -> None:
    """Refuse what cannot work, by a `HistoscribeError` with the remedy, before anything is loaded."""
    section = request.section
    if not request.gene:
        raise SettingError("no gene is shown", remedy="choose one in the Genes panel first")
    if request.gene not in section.table.var_names:
        remedy = "show another gene"
        raise SettingError(f"{request.gene} was not predicted here", where=section.name, remedy=remedy)
    if section.slide is None:
        problem = "the slide of this prediction is not open, and a gene is traced to its pixels"
        remedy = "open the prediction together with its H&E image"
        raise SectionError(problem, where=section.name, remedy=remedy)
    if not _fingerprint(section):
        remedy = "predict again"
        raise ModelError("this layer does not say which model made it", where=section.name, remedy=remedy)


def trace(request: TraceRequest, progress: Progress) -> Traced:
    """Find the model, describe the tiles and trace the gene; runs on any thread.

    Raises `HistoscribeError` if the model is not at hand or the slide cannot be read.
    """
    check(request)
    progress.report("finding the model")
    load_libraries(*PREDICTING, "histoscribe.predictor.explaining.attribution")
    from histoscribe.predictor import attribute

    folder = find_model(_fingerprint(request.section), request.model, request.candidates)
    described = request.described
    if described is None or described.section is not request.section or described.folder != folder:
        described = describe(request.section, folder, progress)
    found = attribute(
        described.predictor,
        described.features,
        request.section.centres_um,
        request.gene,
        slide=described.slide,
        progress=progress,
    )
    return Traced(described, found)


def find_model(fingerprint: str, chosen: Path | None, candidates: Sequence[Path]) -> Path:
    """The model with this fingerprint; `ModelError` if the chosen one is another, or none is at hand."""
    from histoscribe.models import bundled, bundled_names, read_card

    short = f"its fingerprint begins with {fingerprint[:12]}"
    if chosen is not None:
        if read_card(chosen).sha256 != fingerprint:
            problem = f"this is not the model that made the prediction; {short}"
            remedy = "choose that model's folder, or predict again with this one"
            raise ModelError(problem, where=chosen, remedy=remedy)
        return chosen
    for folder in [*candidates, *map(bundled, bundled_names())]:
        try:
            if read_card(folder).sha256 == fingerprint:
                return folder
        except HistoscribeError:
            continue
    problem = f"the model that made this prediction is not among those used lately; {short}"
    raise ModelError(problem, remedy="choose its folder in the field Model")


def describe(section: Section, folder: Path, progress: Progress) -> Described:
    """Load a model and describe a prediction's tiles as it did.

    Whether the prediction was of a part of the slide does not stand in its table: whichever way gives its
    values again is taken.
    """
    from histoscribe.features import encode_tiles
    from histoscribe.predictor import Predictor
    from histoscribe.tiles import sample_tiles, spot_tiles

    progress.report("loading the model")
    predictor = Predictor.load(folder, device="cpu")
    fitted, encoder = predictor.fitted, predictor.encoder
    _refuse_what_is_too_much(section, predictor, encoder.dimension)
    slide = section.scaled_slide
    features = encode_tiles(slide, spot_tiles(section), encoder, progress=progress)
    fitted.check(features, section.centres_um)
    around, off = None, _off(section, predictor, features, None)
    if off > _SAME:
        try:
            whole = encode_tiles(slide, sample_tiles(slide, fitted.pitch_um), encoder, progress=progress)
        except SlideError:
            whole = None
        if whole is not None and (other := _off(section, predictor, features, whole)) < off:
            around, off = whole, other
    names = getattr(encoder, "feature_names", None) or tuple(
        f"descriptor {number} of {encoder.name}" for number in range(1, encoder.dimension + 1)
    )
    return Described(section, folder, predictor, tuple(names), features, around, off)


def _off(
    section: Section, predictor: Predictor, features: NDArray[np.float32], slide: NDArray[np.float32] | None
) -> float:
    """Mean difference of what tiles predict now from what the section holds, over the genes of both."""
    told = predictor.predict_encoded(features, section.centres_um, slide)
    columns = section.table.var_names.get_indexer(list(predictor.genes))
    there = columns >= 0
    held = np.asarray(section.table.X[:, columns[there]])
    return float(np.abs(told[:, there] - held).mean())


def _refuse_what_is_too_much(section: Section, predictor: Predictor, dimension: int) -> None:
    settings = predictor.fitted.settings
    inputs = settings.blocks * dimension
    if section.table.n_obs * inputs * 4 * _ARRAYS > _MOST_BYTES:
        most = _MOST_BYTES // (inputs * 4 * _ARRAYS)
        problem = f"{section.table.n_obs:,} spots are more than fit into memory to be traced"
        remedy = f"predict a region or a wider grid of at most {most:,} spots"
        raise SettingError(problem, where=section.name, remedy=remedy)


def _fingerprint(section: Section) -> str:
    return record_of(section.table).model_sha256
