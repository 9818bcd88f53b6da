"""The Classify panel: what a section, its regions or the samples of a table are, and which genes say so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from histoscribe.errors import ModelError, TableError
from histoscribe.widgets.jobs.loading import load_libraries
from histoscribe.widgets.layers.regions import is_region_layer, regions_of
from histoscribe.widgets.parts.fields import LayerField, SourceField, is_section
from histoscribe.widgets.parts.models import ModelField
from histoscribe.widgets.parts.panel import Panel, wrapped_words
from histoscribe.widgets.parts.tables import TableModel, table_view
from histoscribe.widgets.state.preferences import remember_model

if TYPE_CHECKING:
    import napari
    from pandas import DataFrame, Series

    from histoscribe.bulk import BulkTable
    from histoscribe.progress import Progress
    from histoscribe.section import Section
    from histoscribe.tiles import Region

_TOP = 10


@dataclass(frozen=True, eq=False)
class ClassifyRequest:
    """What is told by which classifier."""

    source: Section | BulkTable
    model: Path
    regions: list[Region]
    sample: str = ""
    """The one whose reasons are asked for."""


class ClassifyPanel(Panel):
    """Tells what tissue or samples are."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        meaning = "Spots, which are told as one sample, or a table of samples"
        self.source = self.add(SourceField("source", self.viewer, "Of", meaning))
        self.model = self.add(ModelField("model", "classifier"))
        meaning = "Regions of the spots that are told one by one beside the whole"
        self.drawn = self.add(LayerField("drawn", self.viewer, is_region_layer, "Regions", meaning))
        meaning = "Which genes carried the call of the marked row"
        why = self.button("Why?", meaning, self.ask_why, enabled=lambda: self.free and bool(self.table.rows))
        self.why_button = why
        self.table = TableModel()
        meaning = "The class of each sample, or unknown, with its probability"
        self.add_run("Classify", meaning, why, ready=lambda: self.source.source is not None)
        self.words = self.add(wrapped_words(), visible=lambda: bool(self.words.text()))
        meaning = "Novelty above 1: unlike what the classifier knows"
        self.view = self.add(table_view(self.table, meaning), stretch=1)
        self.view.setMinimumHeight(90)
        self.finish(stretch=False)

    def start(self) -> None:
        """Tell the classes."""

        def show(request: ClassifyRequest, told: DataFrame) -> None:
            remember_model(request.model)
            self.words.setText(" ".join(f"Mind: {note}." for note in told.attrs["notes"]))
            self.table.show_frame(told.drop(columns=told.filter(like="P(").columns), {})
            self.refresh()

        self.launch(self._request, _tell, show)

    def ask_why(self) -> None:
        """Name the genes that carried the call of the marked row, the first where none is."""

        def show(request: ClassifyRequest, carried: Series[float]) -> None:
            named = ", ".join(f"{gene} {value:+.3f}" for gene, value in carried.items())
            self.words.setText(f"{request.sample}: its lead over the next class was carried by {named}.")
            self.refresh()

        row = max(self.view.currentIndex().row(), 0)
        self.launch(lambda: self._request(self.table.gene_at(row)), _reasons, show)

    def _request(self, sample: str = "") -> ClassifyRequest:
        source, model, shapes = self.source.source, self.model.folder, self.drawn.value
        if source is None or model is None:
            raise ModelError("there is nothing to tell, or nothing to tell it by", remedy="choose both")
        drawn: list[Region] = []
        if is_section(source) and shapes is not None and len(shapes.data):
            drawn = [one for one in regions_of(shapes, self.source.choice.value) if one.name]
        return ClassifyRequest(source, model, drawn, sample)


def _samples(request: ClassifyRequest, progress: Progress) -> BulkTable:
    progress.report("loading libraries")
    load_libraries("histoscribe.classifier.classifier", "lifelines")
    from histoscribe.classifier.classifier import profiles
    from histoscribe.evaluation.regions import classes_of

    if not is_section(request.source):
        return request.source  # type: ignore[return-value]
    return profiles(request.source, classes_of(request.source, request.regions))


def _tell(request: ClassifyRequest, progress: Progress) -> DataFrame:
    samples = _samples(request, progress)
    from histoscribe.classifier import Classifier

    progress.report("telling classes")
    return Classifier.load(request.model).classify(samples)


def _reasons(request: ClassifyRequest, progress: Progress) -> Series[float]:
    samples = _samples(request, progress)
    from histoscribe.bulk import as_table
    from histoscribe.classifier import Classifier

    if request.sample not in samples.table.obs_names:
        raise TableError("this sample is not there any more", where=request.sample, remedy="classify again")
    one = as_table(samples.table[[request.sample]].copy(), name=samples.name, scale=samples.scale)
    carried = Classifier.load(request.model).explain(one, progress=progress).iloc[0]
    return carried.loc[carried.abs().nlargest(_TOP).index]
