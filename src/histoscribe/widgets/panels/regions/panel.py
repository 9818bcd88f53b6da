"""The Regions panel: classes with names and colours, drawn on the tissue, compared, exchanged with QuPath."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from napari.layers import Shapes
from pandas import DataFrame
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSplitter

from histoscribe.errors import SettingError
from histoscribe.evaluation.regions import REST
from histoscribe.files import replacing
from histoscribe.section import Section
from histoscribe.tiles import Region
from histoscribe.widgets.jobs.tasks import quietly
from histoscribe.widgets.layers.layers import affine_of, kind_of, section_of, tissue_of
from histoscribe.widgets.layers.making import MADE, Recipe, Verb, written
from histoscribe.widgets.layers.regions import class_colours, classes_in
from histoscribe.widgets.panels.regions import analysis
from histoscribe.widgets.panels.regions.drawing import DrawingPanel
from histoscribe.widgets.parts.dialogs import save, write_csv
from histoscribe.widgets.parts.fields import ChoiceField, words_field
from histoscribe.widgets.parts.panel import Words, beside
from histoscribe.widgets.parts.plots import Violins, pixmap_of
from histoscribe.widgets.parts.tables import HEADINGS, MEANINGS, TableModel, table_view

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_PICTURES = "SVG (*.svg);;PDF (*.pdf);;PNG (*.png)"
_SMOOTH = ". These spots are predicted: predictions are smooth, so there are "
_CAUTION: dict[str, tuple[str, str]] = {
    "differ": (
        ". Each gene is tested with its effective number of spots in space.",
        f"{_SMOOTH}sizes of effect and no p values.",
    ),
    "moran": ("", f"{_SMOOTH}no p values."),
}
"""After an analysis of genes: on measured spots, on predicted ones."""


class RegionsPanel(DrawingPanel):
    """Draws and compares regions of one section."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self._counted: Any = None
        self._classes: list[str] = []
        self._figures: dict[str, Figure] = {}
        self._analysed: dict[TableModel, analysis.ClassedSpots] = {}
        self._of: Section | None = None
        self.violins = Violins()
        self.statistics, self.genes, self.space = TableModel(), TableModel(), TableModel()
        self.first: ChoiceField
        self.second: ChoiceField
        self.tabs = self.add_tabs("tab")
        self._add_analyses()
        self.add(self.tasks)
        self.words = self.add(Words())
        self.hear(self.state.events.gene, self.refresh)
        self.finish(stretch=False)

    def kept(self) -> dict[str, Any]:
        """What a session keeps beside the choices: all classes, drawn or not, and the marked one."""
        return {"classes": self.classes.colours, "marked": self.classes.marked}

    def take_back(self, kept: dict[str, Any]) -> None:
        """Offer a session's classes again, and mark the one that was marked."""
        self.classes.take_back(kept.get("classes"), kept.get("marked"))

    def classed(self) -> analysis.ClassedSpots:
        """Spots, regions and classes of now; `HistoscribeError` if there are no spots or nothing is drawn."""
        return analysis.classed(self._section(), self._regions())

    def refresh(self, *_: object) -> None:
        """Count spots and areas again, and redo the plots."""
        self._follow()
        self._forget_others()
        super().refresh()
        layer = self.drawn.value
        spots, counts = self._counts()
        colours = {} if layer is None else class_colours(layer)
        shown = {name: colour for name, colour in colours.items() if name}
        self.classes.show_classes(shown, [] if layer is None else classes_in(layer), counts)
        self._classes = [] if spots is None else spots.classes
        self.first.reset_choices()
        self.second.reset_choices()
        if spots is None or self.state.gene not in spots.section.table.var_names:
            self.violins.show_groups({}, "")
            self.statistics.show_frame(None)
        else:
            groups, frame = spots.spread(self.state.gene)
            self.violins.show_groups(groups, self.state.gene)
            self.statistics.show_frame(frame, HEADINGS, MEANINGS)

    def _forget_others(self) -> None:
        """Take away tables and figures of another section than the one that is chosen now."""
        section = section_of(self.spots.value)
        if section is not self._of:
            self._of, self._figures, self._analysed = section, {}, {}
            for model in (self.genes, self.space):
                model.show_frame(None)
            self.picture.clear()
            self.words.setText("")

    def _counts(self) -> tuple[analysis.ClassedSpots | None, dict[str, tuple[int, float]]]:
        """Spots by class, and spots and area of each; counted anew only where something has changed.

        In a picture of very many on another thread: until that is done, there are none.
        """
        beneath, shapes = self.spots.value, self.drawn.value
        tissue = None if beneath is None else tissue_of(beneath)
        places = [affine_of(layer).tobytes() for layer in (beneath, shapes) if layer is not None]
        asked = beneath, tissue, shapes, self._edition, places
        if self._counted is None or self._counted[0] != asked:
            count = partial(analysis.counted, beneath, shapes)
            regions: list[Region] = []
            self._counted = asked, (None, {})
            if isinstance(shapes, Shapes):
                regions, *rest = count()
                self._counted = asked, tuple(rest)
            elif shapes is not None:
                quietly(self, lambda: (asked, count()[1:]), self._on_counted)
            self.list.show_regions(shapes if regions else None, regions, tissue.mpp if tissue else None)
        found: tuple[analysis.ClassedSpots | None, dict[str, tuple[int, float]]] = self._counted[1]
        return found

    def _on_counted(self, counted: Any) -> None:
        if self._counted is not None and self._counted[0] == counted[0]:
            self._counted = counted
            self.refresh()

    def compare(self) -> None:
        """Look for genes that differ between the two chosen classes."""
        first, second = self.first.value or "", self.second.value or ""
        job = partial(analysis.differential, first, second)
        self._analyse("differ", job, self.genes, f"{first} against {second}")

    def draw_figures(self) -> None:
        """Draw volcano, heat map and dot plot of the genes that differ between the two chosen classes."""

        def show(spots: analysis.ClassedSpots, figures: dict[str, Figure]) -> None:
            if spots.section is self._of:
                self._figures = figures
                self._show_figure()

        job = partial(analysis.drawn, self.first.value or "", self.second.value or "")
        self.launch(self.request, job, show)

    def save_figure(self, path: Path | None = None) -> None:
        """Write the figure that is shown; asks where to if no path is given."""

        def write(place: Path) -> None:
            with replacing(place) as fresh:
                self._figures[self.figure.value].savefig(fresh, format=place.suffix[1:], dpi=300)

        save(self, "Save the figure", f"{self.figure.value}.svg", _PICTURES, path, write)

    def _show_figure(self, *_: object) -> None:
        figure = self._figures.get(self.figure.value)
        if figure is not None:
            figure.set_facecolor("white")
            figure.canvas.draw()
            pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]  # type: ignore[attr-defined]
            wide = max(self.tabs.width() - 40, 240)
            self.picture.setPixmap(pixmap_of(pixels, round(wide * max(1, pixels.shape[0] / pixels.shape[1]))))

    def save_table(self, model: TableModel, path: Path | None = None) -> None:
        """Write a table as CSV; asks where to if no path is given."""
        if model.frame is not None and (
            file := write_csv(self, "Save the table", "regions.csv", model.frame, path)
        ):
            written(self.viewer, file, self._analysed.get(model))

    def _analyse(self, verb: Verb, job: analysis.Analysis, model: TableModel, words: str) -> None:
        chosen = {"first": self.first.value, "second": self.second.value} if verb == "differ" else {}

        def show(spots: analysis.ClassedSpots, frame: DataFrame) -> None:
            if spots.section is not self._of:
                return
            model.show_frame(frame, HEADINGS, MEANINGS)
            predicted = kind_of(spots.section) == "predicted"
            self.words.setText(words + _CAUTION.get(verb, ("", ""))[predicted])
            MADE[spots] = Recipe(verb, {"source": spots.section}, {}, chosen, {}, spots.regions)
            self._analysed[model] = spots

        self.launch(self.request, job, show)

    def request(self) -> analysis.ClassedSpots:
        """What is analysed; `HistoscribeError` if no spots are there, or none in a region with a class."""
        spots = self.classed()
        if not spots.labels.any():
            raise SettingError("no spot lies in a region that has a class", remedy="draw one around spots")
        return spots

    def _add_analyses(self) -> None:
        models = {"genes": self.genes, "space": self.space}
        self.views = {name: table_view(model, chosen=self._on_name) for name, model in models.items()}
        with self.tab(self.tabs, "One gene"):
            split = QSplitter(Qt.Orientation.Vertical)
            split.addWidget(self.violins)
            split.addWidget(table_view(self.statistics))
            self.add(split, stretch=1)
        with self.tab(self.tabs, "Genes"):
            meaning = "The class whose genes are looked for"
            self.first = self.add(ChoiceField("first", lambda: self._classes, "Class", meaning))
            self.second = self.add(
                ChoiceField("second", lambda: [REST, *self._classes], "Against", "What it is compared with")
            )
            meaning = "Wilcoxon rank-sum test of every gene (scanpy)"
            self.compare_button = self.button("Differential genes", meaning, self.compare)
            self.add(self.compare_button)
            self._add_table("genes", self.genes)
        with self.tab(self.tabs, "In space"):
            words = "z scores: above 0, spots of two classes lie side by side more often than by chance"
            self.neighbours_button = self.button(
                "Neighbourhood",
                "How often classes lie beside each other, against chance (squidpy)",
                partial(self._analyse, "neighbour", analysis.neighbourhood, self.space, words),
            )
            words = "Moran's I of genes within the drawn regions"
            self.moran_button = self.button(
                "Moran's I",
                "Which genes have a pattern within the drawn regions (squidpy)",
                partial(self._analyse, "moran", analysis.patterns, self.space, words),
            )
            self.add(beside(self.neighbours_button, self.moran_button))
            self._add_table("space", self.space)
        with self.tab(self.tabs, "Figures"):
            names = ("volcano", "heat map", "dot plot")
            meaning = "Of the genes that differ between the two classes of the tab Genes; up and down apart"
            self.figure = self.add(words_field("figure", names, "Figure", meaning))
            self.figure.changed.connect(self._show_figure)
            self.draw_button = self.button("Draw", meaning, self.draw_figures)
            self.save_figure_button = self.button(
                "Save the figure…",
                "As SVG, PDF or PNG",
                self.save_figure,
                enabled=lambda: bool(self._figures),
            )
            self.add(beside(self.draw_button, self.save_figure_button))
            self.picture = self.add(QLabel(), stretch=1)
        with self.tab(self.tabs, "List"):
            self.add_list()

    def _add_table(self, name: str, model: TableModel) -> None:
        self.add(self.views[name], stretch=1)
        self.add(self.button("Save the table…", "As CSV", partial(self.save_table, model)))

    def _on_name(self, name: str) -> None:
        if name not in self.state.genes:
            self.state.choose(name)
