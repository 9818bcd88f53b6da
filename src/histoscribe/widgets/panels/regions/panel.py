"""The Regions panel: classes with names and colours, drawn on the tissue, compared, exchanged with QuPath."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Layer, Shapes
from napari.utils.notifications import show_info
from qtpy.QtCore import QModelIndex, Qt, QTimer
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog, QSplitter, QTabWidget

from histoscribe.errors import HistoscribeError, RegionError, SectionError, SettingError
from histoscribe.widgets.jobs.tasks import quietly
from histoscribe.widgets.layers.arrangement import is_copy
from histoscribe.widgets.layers.keeping import EDITED
from histoscribe.widgets.layers.layers import (
    MOVES,
    affine_of,
    has_own_spots,
    is_same,
    kind_of,
    section_of,
    slide_of,
    tissue_of,
)
from histoscribe.widgets.layers.painting import sections_in
from histoscribe.widgets.layers.regions import (
    PALETTE,
    add_region_layer,
    add_regions,
    class_colours,
    classes_in,
    described_regions,
    give_class,
    is_region_layer,
    regions_of,
    use_class,
    warm_up,
)
from histoscribe.widgets.panels.regions import analysis
from histoscribe.widgets.panels.regions.class_table import ClassTable
from histoscribe.widgets.parts.dialogs import path_to_read, path_to_write, telling, write_csv
from histoscribe.widgets.parts.fields import ChoiceField, LayerField
from histoscribe.widgets.parts.panel import Panel, beside, wrapped_words
from histoscribe.widgets.parts.plots import Violins
from histoscribe.widgets.parts.tables import TableModel, table_view

if TYPE_CHECKING:
    import napari
    from pandas import DataFrame

    from histoscribe.progress import Progress
    from histoscribe.section import Section
    from histoscribe.tiles import Region

_CAUTION = (
    ". Each gene is tested with its effective number of spots in space.",
    ". These spots are predicted: predictions are smooth, so there are sizes of effect and no p values.",
)
"""After a comparison of genes: on measured spots, on predicted ones."""
_GEOJSON = "GeoJSON (*.geojson *.json)"
_QUIET_MS = 100
_AT_ONCE = 500_000
"""Bytes of a GeoJSON that are read before anybody notices that the window waits."""


class RegionsPanel(Panel):
    """Draws and compares regions of one section."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self._edition = 0
        self._counted: Any = None
        self._heard: tuple[Layer | None, Shapes | None] = None, None
        self._classes: list[str] = []
        self.violins = Violins()
        self.statistics, self.genes, self.space = TableModel(), TableModel(), TableModel()
        self.first: ChoiceField
        self.second: ChoiceField
        meaning = "The spots that are counted and compared; or a slide without any, whose areas are measured"
        self.spots = self.add(LayerField("spots", self.viewer, self._is_drawn_on, "On", meaning))
        meaning = "The layer of shapes that are drawn in"
        self.drawn = self.add(LayerField("drawn", self.viewer, is_region_layer, "Regions", meaning))
        self.classes = ClassTable()
        self.add(self.classes.view)
        self._add_buttons()
        self.tabs = self.add(QTabWidget(), stretch=1)
        self._add_analyses()
        self.add(self.tasks)
        self.words = self.add(wrapped_words())
        self._later = QTimer(self, singleShot=True, interval=_QUIET_MS)
        self._later.timeout.connect(self.refresh)
        self.classes.chosen.connect(self._on_class)
        self.classes.renamed.connect(lambda before, after: self._restyle(before, after))
        self.state.events.gene.connect(self.refresh)
        quietly(warm_up, lambda _: None)
        self.finish(stretch=False)

    def reset_choices(self, event: object = None) -> None:
        """Offer the layers of now; napari calls it when the layer list changes."""
        super().reset_choices(event)
        self._follow()

    def kept(self) -> dict[str, Any]:
        """What a session keeps beside the choices: all classes, drawn or not, the marked one, the tab."""
        classes = {**self.classes.colours}
        return {"classes": classes, "marked": self.classes.marked, "tab": self.tabs.currentIndex()}

    def take_back(self, kept: dict[str, Any]) -> None:
        """Offer a session's classes again, and mark the one that was marked."""
        self.classes.take_back(kept.get("classes"), kept.get("marked"))
        if isinstance(kept.get("tab"), int):
            self.tabs.setCurrentIndex(kept["tab"])

    def classed(self) -> analysis.ClassedSpots:
        """Spots, regions and classes of now; `HistoscribeError` if there are no spots or nothing is drawn."""
        from histoscribe.evaluation.regions import classes_of

        section = self._section()
        regions = tuple(one for one in self._regions() if one.name)
        if not regions:
            raise RegionError(
                "no shape has a class yet", remedy="mark a class and draw, or give it to a shape"
            )
        labels = classes_of(section, regions)
        return analysis.ClassedSpots(section, regions, labels, {one.name: one.colour for one in regions})

    def refresh(self, *_: object) -> None:
        """Count spots and areas again, and redo the plots."""
        self._follow()
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
            self.statistics.show_frame(None, {}, {})
        else:
            groups, frame = spots.spread(self.state.gene)
            self.violins.show_groups(groups, self.state.gene)
            self.statistics.show_frame(frame, analysis.WORDS, analysis.MEANINGS)

    def _counts(self) -> tuple[analysis.ClassedSpots | None, dict[str, tuple[int, float]]]:
        """Spots by class, and spots and area of each; counted anew only where something has changed."""
        beneath, slide = self.spots.value, slide_of(self.spots.value)
        places = [affine_of(layer).tobytes() for layer in (beneath, self.drawn.value) if layer is not None]
        asked = (
            beneath,
            tissue_of(beneath) if beneath is not None else None,
            self.drawn.value,
            self._edition,
            places,
        )
        if self._counted is None or self._counted[0] != asked:
            spots, counts = None, {}
            with suppress(HistoscribeError):
                if slide is None:
                    spots = self.classed()
                    counts = spots.counts()
                else:
                    counts = analysis.areas(self._regions(), slide.mpp)
            self._counted = asked, (spots, counts)
        found: tuple[analysis.ClassedSpots | None, dict[str, tuple[int, float]]] = self._counted[1]
        return found

    def add_class(self) -> None:
        """Add a class with a free colour; what is drawn next belongs to it."""
        used = set(self.classes.colours.values())
        colour = next((one for one in PALETTE if one not in used), PALETTE[len(used) % len(PALETTE)])
        self.classes.add(f"Class {len(self.classes.colours) + 1}", colour)

    def draw(self, mode: str) -> None:
        """Start drawing shapes of the marked class."""
        if not self.classes.marked:
            self.add_class()
        layer = self._layer()
        layer.visible = True
        use_class(layer, self.classes.marked, self.classes.colours[self.classes.marked])
        self.viewer.layers.selection.active = layer
        layer.mode = mode

    def give(self) -> None:
        """Give the marked class to the selected shapes."""
        layer, name = self.drawn.value, self.classes.marked
        if layer is None or not name or not layer.selected_data:
            show_info("Select shapes and mark a class first.")
            return
        give_class(layer, sorted(layer.selected_data), name, self.classes.colours[name])
        self.refresh()

    def choose_colour(self, colour: QColor | None = None) -> None:
        """Give the marked class another colour; asks for one if none is given."""
        name = self.classes.marked
        if not name:
            return
        picked = colour or QColorDialog.getColor(QColor(*self.classes.colours[name]), self)
        if picked.isValid():
            self.classes.colours[name] = picked.red(), picked.green(), picked.blue()
            self._restyle(name, name)

    def compare(self) -> None:
        """Look for genes that differ between the two chosen classes."""
        first, second = self.first.value or "", self.second.value or ""
        section = section_of(self.spots.value)
        predicted = section is not None and kind_of(section) == "predicted"
        self._analyse(
            analysis.differential(first, second), self.genes, f"{first} against {second}{_CAUTION[predicted]}"
        )

    def open_regions(self, path: Path | None = None) -> None:
        """Add the regions of a GeoJSON file; asks which if no path is given."""
        from histoscribe.tiles import read_regions

        path = path or path_to_read(self, "Open regions", _GEOJSON)
        if path is None:
            return
        with telling():
            if not path.exists() or path.stat().st_size < _AT_ONCE:
                regions = read_regions(path)
                if regions:
                    add_regions(self._layer(), regions, self._beneath())
                    self.refresh()
                return
            beneath = self._beneath()
            name, mpp = f"{path.stem} regions", tissue_of(beneath).mpp or 1.0

            def many(_: Path, progress: Progress) -> Layer:
                progress.report(f"reading {path.name}")
                described = described_regions(read_regions(path), mpp, name, beneath)
                progress.report("preparing the regions")
                return Layer.create(*described)

            self.launch(lambda: path, many, self._show_many)

    def _show_many(self, _: Path, layer: Layer) -> None:
        self.viewer.add_layer(layer)
        self.drawn.value = layer

    def save_regions(self, path: Path | None = None) -> None:
        """Write the regions as GeoJSON; asks where to if no path is given."""
        from histoscribe.tiles import write_regions

        with telling():
            regions, beneath = self._regions(), self._beneath()
            name = f"{tissue_of(beneath).name}.geojson"
            path = path or path_to_write(self, "Save regions", name, _GEOJSON)
            if path is not None:
                write_regions(regions, path)
                EDITED.discard(self.drawn.value)

    def keep_regions(self, path: Path | None = None) -> None:
        """Write the section with its regions as h5ad; asks where to if no path is given."""
        from histoscribe.evaluation.regions import keep_regions
        from histoscribe.section import write_section

        with telling():
            section, regions = self._section(), self._regions()
            path = path or path_to_write(self, "Keep in", f"{section.name}.h5ad", "h5ad (*.h5ad)")
            if path is not None:
                keep_regions(section.table, regions)
                write_section(section, path)
                EDITED.difference_update((self.drawn.value, self.spots.value))
                show_info(f"{len(regions)} regions are kept in {path.name}.")

    def save_table(self, model: TableModel, path: Path | None = None) -> None:
        """Write a table as CSV; asks where to if no path is given."""
        if model.frame is not None:
            write_csv(self, "Save the table", "regions.csv", model.frame, path)

    def _analyse(self, job: analysis.Analysis, model: TableModel, words: str) -> None:
        def show(_: analysis.ClassedSpots, frame: DataFrame) -> None:
            model.show_frame(frame, analysis.WORDS, analysis.MEANINGS)
            self.words.setText(words)

        self.launch(self.request, job, show)

    def request(self) -> analysis.ClassedSpots:
        """What is analysed; `HistoscribeError` if no spots are there, or none in a region with a class."""
        spots = self.classed()
        if not spots.labels.any():
            raise SettingError("no spot lies in a region that has a class", remedy="draw one around spots")
        return spots

    def _section(self) -> Section:
        section = section_of(self.spots.value)
        if section is None:
            raise SectionError("there are no spots to compare", remedy="open or predict a section first")
        return section

    def _beneath(self) -> Layer:
        if self.spots.value is None:
            raise SectionError("there is nothing to draw on", remedy="open a section or a slide first")
        layer: Layer = self.spots.value
        return layer

    def _is_drawn_on(self, layer: Layer) -> bool:
        """Spots that were opened or predicted, and slides that no section stands for."""
        slide = slide_of(layer)
        if slide is None or is_copy(layer):
            return has_own_spots(layer)
        return not any(is_same(one.slide, slide) for one in sections_in(self.viewer))

    def _regions(self) -> list[Region]:
        beneath = self._beneath()
        if self.drawn.value is None:
            raise RegionError("nothing is drawn", remedy="press Draw polygon and outline some tissue")
        return regions_of(self.drawn.value, beneath)

    def _layer(self) -> Shapes:
        if self.drawn.value is None:
            layer = add_region_layer(self.viewer)
            self.drawn.reset_choices()
            self.drawn.value = layer
        return self.drawn.value

    def _follow(self) -> None:
        """Hear of what is done to the chosen layers: regions are counted where both lie now."""
        heard: tuple[Layer | None, Shapes | None] = self.spots.value, self.drawn.value
        if heard == self._heard:
            return
        for (spots, shapes), act in ((self._heard, "disconnect"), (heard, "connect")):
            for layer in (spots, shapes):
                for name in MOVES if layer is not None else ():
                    getattr(layer.events[name], act)(self._later_on)  # type: ignore[union-attr]
            if shapes is not None:
                getattr(shapes.events.data, act)(self._on_shapes)
                getattr(shapes.events.features, act)(self._on_features)
        self._heard = heard

    def _later_on(self, *_: object) -> None:
        self._later.start()

    def _on_shapes(self, event: object) -> None:
        """A shape was added, moved or removed (not while it is being drawn)."""
        if str(getattr(event, "action", "")) in ("added", "changed", "removed"):
            self._on_features()
            self.refresh()

    def _on_features(self, *_: object) -> None:
        self._edition += 1

    def _on_class(self, name: str) -> None:
        if self.drawn.value is not None and name:
            use_class(self.drawn.value, name, self.classes.colours[name])

    def _restyle(self, before: str, after: str) -> None:
        """Give the shapes of a class its new name and colour."""
        layer, colour = self.drawn.value, self.classes.colours[after]
        if layer is not None:
            rows = [row for row, name in enumerate(classes_in(layer)) if name == before]
            if rows:
                give_class(layer, rows, after, colour)
            use_class(layer, after, colour)
        self.refresh()

    def _add_buttons(self) -> None:
        polygon, freehand = partial(self.draw, "add_polygon"), partial(self.draw, "add_polygon_lasso")
        actions: dict[str, tuple[str, str, Callable[[], object]]] = {
            "add": ("Add class", "Another class, with the next colour", self.add_class),
            "colour": ("Colour…", "Another colour for the marked class", self.choose_colour),
            "give": ("Give class", "The selected shapes become the marked class", self.give),
            "polygon": ("Draw polygon", "Click corner after corner; a double click ends it", polygon),
            "freehand": ("Draw freehand", "Drag around the tissue", freehand),
            "open": (
                "Open GeoJSON…",
                "Annotations from QuPath, with classes, colours and holes",
                self.open_regions,
            ),
            "save": ("Save GeoJSON…", "For QuPath, with classes, colours and holes", self.save_regions),
            "keep": (
                "Keep in section…",
                "Write an h5ad file of the section that brings its regions along",
                self.keep_regions,
            ),
        }
        self.buttons = {name: self.button(*one) for name, one in actions.items()}
        rows = (("add", "colour", "give"), ("polygon", "freehand"), ("open", "save"), ("keep",))
        for names in rows:
            self.add(beside(*(self.buttons[name] for name in names)))
        for name in ("open", "save"):
            self.rule(self.buttons[name], enabled=lambda: self.spots.value is not None)
        self.rule(self.buttons["keep"], enabled=lambda: section_of(self.spots.value) is not None)

    def _add_analyses(self) -> None:
        from histoscribe.evaluation.regions import REST

        self.views = {"genes": table_view(self.genes), "space": table_view(self.space)}
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
                partial(self._analyse, analysis.neighbourhood, self.space, words),
            )
            words = "Moran's I of genes within the drawn regions"
            self.moran_button = self.button(
                "Moran's I",
                "Which genes have a pattern within the drawn regions (squidpy)",
                partial(self._analyse, analysis.patterns, self.space, words),
            )
            self.add(beside(self.neighbours_button, self.moran_button))
            self._add_table("space", self.space)

    def _add_table(self, name: str, model: TableModel) -> None:
        view = self.add(self.views[name], stretch=1)
        view.selectionModel().currentChanged.connect(partial(self._on_row, model))
        self.add(self.button("Save the table…", "As CSV", partial(self.save_table, model)))

    def _on_row(self, model: TableModel, current: QModelIndex, _previous: QModelIndex) -> None:
        if current.isValid() and model.gene_at(current.row()) not in self.state.genes:
            self.state.choose(model.gene_at(current.row()))
