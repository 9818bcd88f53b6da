"""The Predict panel: a slide or section, a model, where to look; a layer of predicted spots comes back."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from pathlib import Path

import napari
from napari.layers import Layer
from napari.utils.notifications import show_info

from histoscribe.arrays import Wide
from histoscribe.errors import RegionError, SettingError
from histoscribe.predictor.guiding.guide import FEWEST
from histoscribe.section import Section
from histoscribe.slide import Slide
from histoscribe.widgets.layers.layers import LayerData, placed_like, section_of, slide_of
from histoscribe.widgets.layers.making import Recipe, made
from histoscribe.widgets.layers.painting import measured_in, paint, sections_in, stands_alone, suggested_gene
from histoscribe.widgets.layers.rescaling import set_mpp
from histoscribe.widgets.napari_private.window import undrawn
from histoscribe.widgets.panels.predict import prediction
from histoscribe.widgets.parts.fields import (
    ChoiceField,
    LayerField,
    RegionField,
    number_field,
    tick_field,
    words_field,
)
from histoscribe.widgets.parts.models import ModelField
from histoscribe.widgets.parts.panel import Panel, Words
from histoscribe.widgets.parts.verdict import VerdictBanner
from histoscribe.widgets.state.preferences import DEVICES, follow_memory, preferences, remember_model


class PredictPanel(Panel):
    """Predicts expression on a layer and adds it as a layer of spots."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        meaning = "The layer to look at: a section with its H&E, or a slide"
        target = LayerField("target", self.viewer, self._is_target, "Slide or section", meaning)
        self.target = self.add(target)
        meaning = "The slide does not state its scale; 0.5 is usual for 20×, 0.25 for 40×"
        self.mpp = self.add(
            number_field("mpp", 0.5, 0.01, 100, "µm per pixel", label="Scale", tooltip=meaning, decimals=3),
            visible=lambda: self._slide is not None and self._slide.mpp is None,
        )
        self.model = self.add(ModelField("model", "predictor"))
        meaning = "Its measured spots correct the model on this slide, as far as held-out spots bear it out"
        self.own = self.add(
            tick_field("own", "Learn from its own spots", meaning), visible=lambda: self._own_spots >= FEWEST
        )
        meaning = "Where to predict: at measured spots, or on a grid"
        self.place = self.add(ChoiceField("place", self._places, "Where", meaning))
        self.region = self.add(
            RegionField("region", self.viewer), visible=lambda: self.place.value == "region"
        )
        self.pitch = self.add(
            number_field(
                "pitch", 55, 1, 5000, "µm", label="Grid pitch", tooltip="Distance of neighbouring grid points"
            ),
            visible=lambda: self.place.value != "spots",
        )
        meaning = "auto takes a graphics card where there is one"
        self.device = self.add(words_field("device", DEVICES, "Device", meaning, first=preferences().device))
        self.cost = self.add(Words())
        self.add_run(
            "Predict",
            "Predict with these settings; the result is a new layer",
            ready=lambda: self.target.value is not None,
            undo="Remove the predicted layer again",
        )
        self.verdict = self.add(VerdictBanner(self, lambda: sections_in(self.viewer)))
        self.target.changed.connect(self._on_target)
        self.hear(self.state.events.trained, self._on_trained)
        follow_memory()
        self.finish()

    def request(self) -> prediction.PredictRequest:
        """What the panel asks for as it stands; `HistoscribeError` if anything is missing or amiss."""
        target = self._looked_at()
        if target is None:
            remedy = "open a slide or a section with its H&E image first"
            raise SettingError("there is nothing to predict on", remedy=remedy)
        regions = self._regions()
        if regions is None:
            raise SettingError("no region is drawn", remedy="press Draw and outline the tissue of interest")
        model = self.model.folder or Path()
        if not (model / "card.json").exists():
            remedy = "choose a folder with card.json in it, as histoscribe train writes it"
            raise SettingError("this folder holds no model", where=model, remedy=remedy)
        return prediction.PredictRequest(
            model,
            target,
            self.place.value,
            self.pitch.value,
            tuple(regions),
            self.device.value,
            own=self.own.value and self._own_spots >= FEWEST,
        )

    def refresh(self, *_: object) -> None:
        """Say how much there is to do, and ask every rule again."""
        target = self._looked_at()
        try:
            regions = None if target is None else self._regions()
        except RegionError:
            regions = None
        card = self.model.card
        encoder = "" if card is None else card.encoder
        words = [prediction.cost_words(target, self.place.value, self.pitch.value, regions or (), encoder)]
        if self.own.value and self._own_spots >= FEWEST:
            words.append(prediction.expected_words(self._own_spots))
        self.cost.setText(" ".join(filter(None, words)))
        super().refresh()

    def start(self) -> None:
        """Run the prediction; its result becomes a layer. A scale stated here is the slide's from now."""
        if self._slide is not None and self._slide.mpp is None:
            set_mpp(self.viewer, self._slide, self.mpp.value)
        self.launch(self.request, prediction.predict, partial(self._show_result, self.target.value))

    def _regions(self) -> list[Wide] | None:
        return self.region.outlines(self.target.value) if self.place.value == "region" else []

    def reset_choices(self, event: object = None) -> None:
        """Offer the layers of now; napari calls it when the layer list changes."""
        super().reset_choices(event)
        self.verdict.refresh()

    def _on_trained(self, trained: tuple[float, str], *_: object) -> None:
        self.model.take(*trained)
        self.refresh()

    def _on_target(self, *_: object) -> None:
        """Spots are predicted on their own places, a slide on a grid, unless somebody chooses otherwise."""
        self.place.reset_choices()
        self.place.value = self.place.values[0]
        self.own.text = f"Learn from its own {self._own_spots:,} spots"

    @property
    def _own_spots(self) -> int:
        """How many measured spots the target brings; 0 for a slide."""
        section = section_of(self.target.value)
        return 0 if section is None else section.table.n_obs

    @property
    def _slide(self) -> Slide | None:
        return slide_of(self.target.value)

    def _looked_at(self) -> Slide | Section | None:
        slide = self._slide
        if slide is None:
            return section_of(self.target.value)
        return slide.with_mpp(self.mpp.value) if slide.mpp is None else slide

    def _is_target(self, layer: Layer) -> bool:
        """Measured sections on their slide, and slides that no measured section stands for already."""
        section, slide = section_of(layer), slide_of(layer)
        if slide is not None:
            return stands_alone(self.viewer, slide)
        return section is not None and section in measured_in(self.viewer) and section.slide is not None

    def _places(self) -> list[tuple[str, str]]:
        spots = [("Its own spots", "spots")] if self._slide is None else []
        return [*spots, ("A grid over the tissue", "grid"), ("A grid in a drawn region", "region")]

    def _show_result(
        self, source: Layer, request: prediction.PredictRequest, result: tuple[Section, LayerData]
    ) -> Generator[None]:
        """Add the layer, paint it, draw it: step by step, so that the window answers in between."""
        predicted, described = result
        remember_model(request.model)
        if gain := prediction.gain_words(predicted):
            show_info(gain)
        if source not in self.viewer.layers:
            show_info("The layer was removed meanwhile; its prediction is discarded.")
            return
        settings = {
            "grid-um": None if request.where == "spots" else request.pitch_um,
            "guide": "own" if request.own else None,
            "device": request.device,
        }
        drawn = {"region": request.regions} if request.regions else {}
        step = Recipe("predict", {"target": request.target}, {"model": request.model}, settings, drawn)
        made(self.viewer, predicted, step)
        with undrawn(self.viewer):
            yield from self.show_layer(placed_like(described, source))
            yield
            if self.state.gene not in predicted.genes:
                self.state.gene = suggested_gene([predicted])
            paint(self.viewer, self.state)
            yield
