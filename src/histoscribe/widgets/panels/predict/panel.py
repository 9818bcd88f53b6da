"""The Predict panel: a slide or section, a model, where to look; a layer of predicted spots comes back."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING

from napari.layers import Layer
from napari.utils.notifications import show_info
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from histoscribe.errors import HistoscribeError, SettingError
from histoscribe.widgets.jobs.tasks import TaskBar, tell
from histoscribe.widgets.layers.layers import LayerData, kind_of, section_of, slide_of
from histoscribe.widgets.layers.painting import paint, spot_layers
from histoscribe.widgets.layers.regions import drawn_regions
from histoscribe.widgets.layers.suggestion import suggested_gene
from histoscribe.widgets.napari_private.window import added_in_turns, undrawn, unwrapped
from histoscribe.widgets.panels.predict.prediction import PredictRequest, Where, check, predicted_layer
from histoscribe.widgets.parts.choosers import LayerCombo, ModelChooser, RegionChooser, number_box
from histoscribe.widgets.parts.shortcuts import install_shortcuts
from histoscribe.widgets.state.preferences import follow_memory, preferences
from histoscribe.widgets.state.recent import remember_model
from histoscribe.widgets.state.state import state_of

if TYPE_CHECKING:
    import napari

    from histoscribe.section import Section
    from histoscribe.slide import Slide

_PLACES: dict[str, Where] = {
    "Its own spots": "spots",
    "A grid over the tissue": "grid",
    "A grid in a drawn region": "region",
}
_DEVICES = ("auto", "cpu", "cuda", "mps")


class PredictPanel(QWidget):
    """Predicts expression on a layer and adds it as a layer of spots.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = unwrapped(napari_viewer)
        self._result: Layer | None = None
        self._chosen: Layer | None = None
        self.target = LayerCombo(self._viewer, self._is_target)
        self.model = ModelChooser()
        self.place = QComboBox()
        self.place.addItems(list(_PLACES))
        self.region = RegionChooser(self._viewer)
        self.pitch = number_box(55.0, 1.0, 5000.0, " µm")
        self.mpp = number_box(0.5, 0.01, 100.0, " µm per pixel", decimals=3)
        self.device = QComboBox()
        self.device.addItems(_DEVICES)
        self.device.setCurrentText(preferences().device)
        self.run_button = QPushButton("Predict")
        self.undo_button = QPushButton("Undo")
        self.undo_button.setToolTip("Remove the predicted layer again")
        meanings = {
            self.target: "The layer to look at: a section with its H&E, or a slide",
            self.place: "Where to predict: at measured spots, or on a grid",
            self.pitch: "Distance of neighbouring grid points",
            self.mpp: "The slide does not state its scale; 0.5 is usual for 20×, 0.25 for 40×",
            self.device: "auto takes a graphics card where there is one",
            self.run_button: "Predict with these settings; the result is a new layer",
        }
        for widget, meaning in meanings.items():
            widget.setToolTip(meaning)
        self.tasks = TaskBar()
        self._arrange()
        self.target.currentIndexChanged.connect(self._on_target)
        self.place.currentIndexChanged.connect(self._show_what_applies)
        self.run_button.clicked.connect(self.start)
        self.undo_button.clicked.connect(self.undo)
        self.tasks.running_changed.connect(self._show_what_applies)
        follow_memory()
        install_shortcuts(self._viewer)
        self._on_target()

    def reset_choices(self, event: object = None) -> None:
        """Offer the layers of now; napari calls it when the layer list changes."""
        self.target.refill()
        self.region.refill()
        if self._result not in self._viewer.layers:
            self._result = None
        self._on_target()

    def request(self) -> PredictRequest:
        """What the panel asks for as it stands.

        Raises
        ------
        HistoscribeError
            If something is missing or does not go together.
        """
        target = self._target()
        if target is None:
            raise SettingError(
                "there is nothing to predict on", remedy="open a slide or a section with its H&E image first"
            )
        where = _PLACES[self.place.currentText()]
        regions = ()
        if where == "region":
            shapes = self.region.combo.layer
            if shapes is None:
                raise SettingError(
                    "no region is drawn", remedy="press Draw and outline the tissue of interest"
                )
            regions = tuple(drawn_regions(shapes, target.mpp, self.region.name))
        device = self.device.currentText()
        request = PredictRequest(self.model.folder, target, where, self.pitch.value(), regions, device)
        check(request)
        return request

    def start(self) -> None:
        """Run the prediction; its result becomes a layer."""
        try:
            request = self.request()
        except HistoscribeError as error:
            tell(error)
            return
        apply = partial(self._show_result, request, self.target.layer)
        self.tasks.run(partial(predicted_layer, request), apply)

    def undo(self) -> None:
        """Remove the layer of the last prediction."""
        if self._result in self._viewer.layers:
            self._viewer.layers.remove(self._result)
        self._result = None
        self._show_what_applies()

    def _target(self) -> Slide | Section | None:
        layer = self.target.layer
        if layer is None:
            return None
        slide = slide_of(layer)
        if slide is None:
            return section_of(layer)
        return slide.with_mpp(self.mpp.value()) if slide.mpp is None else slide

    def _is_target(self, layer: Layer) -> bool:
        """Measured sections on their slide, and slides that no measured section stands for already."""
        section, slide = section_of(layer), slide_of(layer)
        measured = [one for one in map(section_of, spot_layers(self._viewer)) if kind_of(one) == "measured"]
        if slide is not None:
            return not any(one.slide and one.slide.levels is slide.levels for one in measured)
        return section in measured and section.slide is not None

    def _on_target(self, *_: object) -> None:
        layer = self.target.layer
        if layer is not self._chosen:
            self._chosen = layer
            is_section = layer is not None and section_of(layer) is not None
            self.place.setCurrentIndex(0 if is_section else 1)
        self._show_what_applies()

    def _show_result(
        self, request: PredictRequest, source: Layer, result: tuple[Section, LayerData]
    ) -> Generator[None]:
        """Add the layer, paint it, draw it: step by step, so that the window answers in between."""
        predicted, described = result
        remember_model(request.model)
        if source not in self._viewer.layers:
            show_info("The layer was removed meanwhile; its prediction is discarded.")
            return
        with undrawn(self._viewer):
            self._result = yield from added_in_turns(self._viewer, described)
            yield
            state = state_of(self._viewer)
            if state.gene not in predicted.genes:
                state.gene = suggested_gene([predicted])
            paint(self._viewer, state)
            yield
        self._show_what_applies()

    def _show_what_applies(self, *_: object) -> None:
        layer = self.target.layer
        has_spots = layer is not None and section_of(layer) is not None
        self.place.model().item(0).setEnabled(has_spots)
        where = _PLACES[self.place.currentText()]
        slide = None if layer is None else slide_of(layer)
        self._form.setRowVisible(self.region, where == "region")
        self._form.setRowVisible(self.pitch, where != "spots")
        self._form.setRowVisible(self.mpp, slide is not None and slide.mpp is None)
        self.run_button.setEnabled(layer is not None and not self.tasks.running)
        self.undo_button.setEnabled(self._result is not None)

    def _arrange(self) -> None:
        self._form = QFormLayout()
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows = [("Slide or section", self.target), ("Scale", self.mpp), ("Model", self.model)]
        rows += [("Where", self.place), ("Region", self.region), ("Grid pitch", self.pitch)]
        for label, widget in [*rows, ("Device", self.device)]:
            self._form.addRow(label, widget)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button, 1)
        buttons.addWidget(self.undo_button)
        layout = QVBoxLayout(self)
        layout.addLayout(self._form)
        layout.addLayout(buttons)
        layout.addWidget(self.tasks)
        layout.addStretch(1)
