"""The Classify panel: what a section, its regions or the samples of a table are, and labels of slides."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
from napari.layers import Layer
from pandas import DataFrame, Series

from histoscribe.bulk import BulkTable, as_table
from histoscribe.errors import ModelError, TableError
from histoscribe.evaluation.regions import classes_of
from histoscribe.progress import Progress
from histoscribe.section import Section
from histoscribe.tiles import Region
from histoscribe.widgets.jobs.loading import load_libraries
from histoscribe.widgets.layers.layers import UM, LayerData, placed_like, slide_of
from histoscribe.widgets.layers.regions import is_region_layer, regions_of
from histoscribe.widgets.parts.fields import LayerField, SourceField, is_section, tick_field
from histoscribe.widgets.parts.models import ModelField
from histoscribe.widgets.parts.panel import Panel, Words, beside
from histoscribe.widgets.parts.tables import TableModel, table_view
from histoscribe.widgets.state.preferences import remember_model

if TYPE_CHECKING:
    from histoscribe.labeller import SlideLabels

_TOP = 10


@dataclass(frozen=True, eq=False)
class ClassifyRequest:
    """What is told by which classifier."""

    source: Section | BulkTable
    model: Path
    regions: list[Region]
    together: bool = False
    """Whether the samples of a table are asked together."""
    sample: str = ""
    """The one whose reasons are asked for."""


class ClassifyPanel(Panel):
    """Tells what tissue or samples are."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        meaning = "Spots, which are told as one sample, or a table of samples"
        self.source = self.add(SourceField("source", self.viewer, "Data", meaning))
        self.model = self.add(ModelField("model", "classifier"))
        meaning = "Regions of the spots that are told one by one beside the whole"
        self.drawn = self.add(LayerField("drawn", self.viewer, is_region_layer, "Regions", meaning))
        meaning = (
            "Five or more samples that are odd in the same way are unknown; what a sample is then depends on "
            "the others, and a hospital that was never seen makes samples odd too"
        )
        self.together = self.add(
            tick_field("together", "Ask the samples together", meaning),
            visible=lambda: isinstance(self.source.source, BulkTable),
        )
        meaning = "Which genes carried the call of the marked row"
        self.why_button = why = self.button(
            "Why?", meaning, self.ask_why, enabled=lambda: self.free and bool(self.table.rows)
        )
        self.table = TableModel()
        meaning = "The class of each sample, or unknown, with its probability"
        self.add_run("Classify", meaning, why, ready=lambda: self.source.source is not None)
        self.words = self.add(Words())
        meaning = "Novelty above 1: unlike what the classifier knows"
        self.view = self.add(table_view(self.table, meaning), stretch=1)
        self.view.setMinimumHeight(90)
        meaning = "The slide whose labels are told"
        self.slide = self.add(LayerField("slide", self.viewer, _is_slide, "Slide", meaning))
        self.labeller = self.add(ModelField("labeller", "labeller", label="Labels by"))
        meaning = "Tell the labels of the whole slide, and show where the first was looked for"
        self.label_button = self.button(
            "Label slide", meaning, self.label, enabled=lambda: self.free and self.slide.value is not None
        )
        meaning = "Paint the attention for the label of the marked row on the slide"
        paint = self.button(
            "Paint", meaning, self.paint, enabled=lambda: self.free and self.found is not None
        )
        self.add(beside(self.label_button, paint))
        self.found: SlideLabels | None = None
        self.finish(stretch=False)

    def start(self) -> None:
        """Tell the classes."""

        def show(request: ClassifyRequest, told: DataFrame) -> None:
            self.found = None
            remember_model(request.model)
            self.words.setText(" ".join(f"Mind: {note}." for note in told.attrs["notes"]))
            company = ["company"] if told["company"].any() else []
            self.table.show_frame(told[["class", "probability", "novelty", "nearest", *company]])

        self.launch(self._request, _tell, show)

    def ask_why(self) -> None:
        """Name the genes that carried the call of the marked row, the first where none is."""

        def show(request: ClassifyRequest, carried: Series[float]) -> None:
            named = ", ".join(f"{gene} {value:+.3f}" for gene, value in carried.items())
            self.words.setText(f"{request.sample}: its lead over the next class was carried by {named}.")

        row = max(self.view.currentIndex().row(), 0)
        self.launch(lambda: self._request(self.table.gene_at(row)), _reasons, show)

    def label(self) -> None:
        """Tell the labels of the slide."""

        def asked() -> tuple[Layer, Path]:
            layer, folder = self.slide.value, self.labeller.folder
            if layer is None or folder is None:
                raise ModelError("there is no slide, or nothing to tell it by", remedy="choose both")
            return layer, folder

        def show(request: tuple[Layer, Path], found: SlideLabels) -> Generator[None, None, None]:
            remember_model(request[1])
            self.found = found
            self.words.setText(found.verdict.sentence)
            self.table.show_frame(found.told.drop(columns=found.told.filter(like="P(").columns))
            yield from self.show_layer(_attention(found, 0, request[0]))

        self.launch(asked, _label, show)

    def paint(self) -> None:
        """Show where the label of the marked row was looked for, in place of the one before."""
        row, found, layer = max(self.view.currentIndex().row(), 0), self.found, self.slide.value
        if found is not None and layer is not None:
            pixels, about, _ = _attention(found, row, layer)
            if self.added is None:
                self.added = self.viewer.add_image(pixels, **about)
            self.added.data, self.added.name = pixels, about["name"]
            self.added.contrast_limits = about["contrast_limits"]

    def _request(self, sample: str = "") -> ClassifyRequest:
        source, model, shapes = self.source.source, self.model.folder, self.drawn.value
        if source is None or model is None:
            raise ModelError("there is nothing to tell, or nothing to tell it by", remedy="choose both")
        drawn: list[Region] = []
        if is_section(source) and shapes is not None and len(shapes.data):
            drawn = [one for one in regions_of(shapes, self.source.choice.value) if one.name]
        together = isinstance(source, BulkTable) and bool(self.together.value)
        return ClassifyRequest(source, model, drawn, together, sample)


def _samples(request: ClassifyRequest, progress: Progress) -> BulkTable:
    progress.report("loading libraries")
    load_libraries("histoscribe.classifier.classifier")
    from histoscribe.classifier.classifier import profiles

    if not is_section(request.source):
        return request.source  # type: ignore[return-value]
    return profiles(request.source, classes_of(request.source, request.regions))


def _tell(request: ClassifyRequest, progress: Progress) -> DataFrame:
    samples = _samples(request, progress)
    from histoscribe.classifier import Classifier

    progress.report("telling classes")
    return Classifier.load(request.model).classify(samples, together=request.together)


def _reasons(request: ClassifyRequest, progress: Progress) -> Series[float]:
    samples = _samples(request, progress)
    from histoscribe.classifier import Classifier

    if request.sample not in samples.table.obs_names:
        raise TableError("this sample is not there any more", where=request.sample, remedy="classify again")
    one = as_table(samples.table[[request.sample]].copy(), name=samples.name, scale=samples.scale)
    carried = Classifier.load(request.model).explain(one, progress=progress).iloc[0]
    return carried.loc[carried.abs().nlargest(_TOP).index]


def _is_slide(layer: Layer) -> bool:
    return slide_of(layer) is not None and layer.metadata["slide"].mpp is not None


def _label(request: tuple[Layer, Path], progress: Progress) -> SlideLabels:
    progress.report("loading libraries")
    load_libraries("histoscribe.labeller.labeller", "histoscribe.labeller.network")
    from histoscribe.labeller import Labeller

    return Labeller.load(request[1]).label(request[0].metadata["slide"], progress=progress)


def _attention(found: SlideLabels, row: int, layer: Layer) -> LayerData:
    """The attention for a label, of its likeliest class, as one image in µm: how often the usual share."""
    tiles = found.tiles
    assert tiles is not None
    name, nearest = str(found.told.index[row]), found.told["nearest"].iloc[row]
    outputs = list(tiles.table.var_names)
    column = outputs.index(name if name in outputs else f"{name}: {nearest}")
    places = np.floor(tiles.centres_um / tiles.spot_um).astype(int)
    pixels = np.full(places.max(axis=0) + 1, np.nan, dtype=np.float32)
    pixels[tuple(places.T)] = found.attention[:, column] * len(places)
    high = max(float(np.nanquantile(pixels, 0.995)), 1.0)
    about = {
        "name": f"attention: {outputs[column]}",
        "colormap": "inferno",
        "contrast_limits": (0.0, high),
        "opacity": 0.6,
        "interpolation2d": "nearest",
        "scale": (tiles.spot_um,) * 2,
        "translate": (tiles.spot_um / 2,) * 2,
        "units": (UM, UM),
    }
    return placed_like((pixels, about, "image"), layer)
