"""Tracing a gene to the image: a request, a plain call, the maps that come back, and what shows them."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Layer, Points
from napari.utils.notifications import show_info
from qtpy.QtWidgets import QHeaderView

from histoscribe.arrays import Floats
from histoscribe.errors import HistoscribeError, ModelError, SectionError, SettingError, SlideError
from histoscribe.models import bundled, bundled_names, read_card
from histoscribe.progress import Progress
from histoscribe.record import record_of
from histoscribe.section import Section
from histoscribe.tiles import sample_tiles, spot_tiles
from histoscribe.widgets.jobs.loading import PREDICTING, load_libraries
from histoscribe.widgets.jobs.tasks import quietly
from histoscribe.widgets.layers.colours import DIFFERENCE, about_zero
from histoscribe.widgets.layers.layers import section_of
from histoscribe.widgets.layers.maps import Map, show_map
from histoscribe.widgets.layers.painting import rim
from histoscribe.widgets.parts.fields import tick_field
from histoscribe.widgets.parts.models import ModelField
from histoscribe.widgets.parts.panel import Panel, Words
from histoscribe.widgets.parts.tables import Column, TableModel, table_view
from histoscribe.widgets.state.preferences import recent_models, remember_model

if TYPE_CHECKING:
    from histoscribe.predictor import Attribution, Predictor

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
    features: Floats
    """Shape (tiles, d)."""
    slide: Floats | None
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
            title = f"{reach}{far} to {self.found.gene}"
            values = self.found.by_reach[:, place]
            kind, gene, legend = f"{REACH} {place}", self.found.gene, f"{self.found.gene} by reach, {UNIT}"
            maps.append(Map(kind, title, UNIT, values, limits, DIFFERENCE, gene, legend=legend))
        return maps[::-1]

    def descriptor(self, name: str) -> Map:
        """What one descriptor brings to each spot."""
        values = self.found.by_descriptor[:, self.described.names.index(name)]
        title, legend = f"{name} to {self.found.gene}", f"{self.found.gene} by descriptor, {UNIT}"
        return Map(DESCRIPTOR, title, UNIT, values, about_zero(values), DIFFERENCE, legend=legend)

    def behind(self, row: int) -> Map:
        """What each tile brings to one spot; NaN for those that it does not look at."""
        brought = self.found.tiles_behind(row)
        values = np.where(brought == 0, np.nan, brought)
        spot = self.described.section.table.obs_names[row]
        title, legend = f"tiles behind {self.found.gene} at {spot}", f"{self.found.gene} by tile, {UNIT}"
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
    if not record_of(section.table).model_sha256:
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

    fingerprint = record_of(request.section.table).model_sha256
    folder = find_model(fingerprint, request.model, request.candidates)
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

    progress.report("loading the model")
    predictor = Predictor.load(folder, device="cpu")
    fitted, encoder = predictor.fitted, predictor.encoder
    most = _MOST_BYTES // (fitted.settings.blocks * encoder.dimension * 4 * _ARRAYS)
    if section.table.n_obs > most:
        problem = f"{section.table.n_obs:,} spots are more than fit into memory to be traced"
        remedy = f"predict a region or a wider grid of at most {most:,} spots"
        raise SettingError(problem, where=section.name, remedy=remedy)
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


def _off(section: Section, predictor: Predictor, features: Floats, slide: Floats | None) -> float:
    """Mean difference of what tiles predict now from what the section holds, over the genes of both."""
    told = predictor.predict_encoded(features, section.centres_um, slide)
    columns = section.table.var_names.get_indexer(list(predictor.genes))
    there = columns >= 0
    held = np.asarray(section.table.X[:, columns[there]])
    return float(np.abs(told[:, there] - held).mean())


_FOUND = "The one it was made with, where it was used lately", object()
_COLUMNS = (
    Column("Strongest descriptors", lambda row: str(row[0]), key=lambda row: row[0], left=True),
    Column("Size", lambda row: f"{row[1]:.3f}", key=lambda row: row[1]),
)
_CHANGED = (
    "The image gives other values today, by {:.2f} on average: the slide or the spots have changed since the "
    "prediction, or another device made it. The maps explain the values of today."
)
_GUIDED = (
    "{:,} measured spots of this slide corrected the prediction: the maps explain what the model says before."
)
_MEANING = (
    "Each map says what raises (red) or lowers (blue) {gene}. "
    "Sizes are means over all spots, in {unit}. Choose a descriptor to see where it counts."
)


class GeneTrace:
    """Traces the gene shown to the image that it was predicted from, in parts and a run of its panel."""

    def __init__(self, panel: Panel) -> None:
        self._panel, self._viewer, self._state = panel, panel.viewer, panel.state
        self._layer: Layer | None = None
        self._row: int | None = None
        self.traced: Traced | None = None
        self.model = panel.add(ModelField("model", "predictor", more=lambda: [_FOUND]))
        meaning = "Which tiles and which descriptors the gene was read from, as layers and a list"
        panel.add_run("", meaning, ready=lambda: self._layer is not None and bool(self._state.gene))
        self.words = panel.add(Words())
        self.table = TableModel(_COLUMNS)
        self.view = panel.add(table_view(self.table))
        self.view.setMinimumHeight(260)
        self.view.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.view.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.view.clicked.connect(lambda index: self._on_descriptor(self.table.gene_at(index.row())))
        meaning = "As a layer: what each tile brings to the gene at that spot"
        self.behind = panel.add(
            tick_field("behind", "Click a spot to see the tiles behind it", meaning, value=True)
        )
        for part in (self.view, self.behind):
            panel.rule(part, visible=lambda: self.traced is not None)
        self._forget_model()

    def set_layer(self, layer: Layer | None) -> None:
        """Trace genes of this layer of predicted spots."""
        if layer is not self._layer:
            self._forget_model()
        self._layer = layer
        if self.traced is not None and self.traced.described.section is not section_of(layer):
            self.traced = None
        self._show_result()

    def refresh(self) -> None:
        """Name the gene that would be traced."""
        gene = self._state.gene
        self._panel.run_button.setText(
            f"Trace {gene} to the image" if gene else "Trace the gene shown to the image"
        )

    def start(self) -> None:
        """Trace the gene shown; its maps become layers."""
        if self._layer is not None:
            here = copy_context()  # a feature store in use here is in use there
            self._panel.launch(
                self.request,
                lambda request, progress: here.run(trace, request, progress),
                partial(self._show_traced, self._layer),
            )

    def request(self) -> TraceRequest:
        """What is asked for as the panel stands; `HistoscribeError` if something is missing."""
        section = section_of(self._layer)
        if section is None:
            raise SectionError("there is no prediction to explain", remedy="predict first")
        described = None if self.traced is None else self.traced.described
        request = TraceRequest(section, self._state.gene, self.model.folder, recent_models(), described)
        check(request)
        return request

    def on_spot(self, layer: Layer, row: int) -> None:
        """Show the tiles behind a spot, where its gene was traced and that is wished."""
        traced = self.traced
        if traced is None or not self.behind.value or traced.described.section is not section_of(layer):
            return
        self._row = row
        quietly(self._panel, partial(traced.behind, row), partial(self._show_behind, traced, row))

    def _show_traced(self, layer: Layer, request: TraceRequest, traced: Traced) -> None:
        if request.model is not None and request.model not in request.candidates:
            remember_model(request.model)
        if layer not in self._viewer.layers:
            show_info("The layer was removed meanwhile; what was traced is discarded.")
            return
        if layer is not self._layer:
            show_info("Another layer was chosen meanwhile; what was traced is discarded.")
            return
        self.traced = traced
        self.model.folder = traced.described.folder
        for one in traced.reaches():
            show_map(self._viewer, layer, one)
        self._show_result()

    def _show_behind(self, traced: Traced, row: int, found: Map) -> None:
        """Show it, unless another spot was clicked or the layer went meanwhile."""
        if traced is not self.traced or row != self._row or self._layer not in self._viewer.layers:
            return
        layer = show_map(self._viewer, self._layer, found)
        if isinstance(layer, Points):
            rim(layer, np.array([row]))
        self._panel.refresh()

    def _on_descriptor(self, name: str) -> None:
        if self.traced is not None and self._layer in self._viewer.layers:
            show_map(self._viewer, self._layer, self.traced.descriptor(name))
            self._panel.refresh()

    def _show_result(self) -> None:
        traced = self.traced
        self.table.show_rows([] if traced is None else traced.found.strongest(traced.described.names))
        words = "" if traced is None else _MEANING.format(gene=traced.found.gene, unit=UNIT)
        if traced is not None and (spots := record_of(traced.described.section.table).guide_spots):
            words += f" {_GUIDED.format(spots)}"
        elif traced is not None and traced.described.off > DIFFERENT:
            words += f" {_CHANGED.format(traced.described.off)}"
        self.words.setText(words)
        self._panel.refresh()

    def _forget_model(self) -> None:
        with self.model.changed.blocked():
            self.model.value = _FOUND[1]
