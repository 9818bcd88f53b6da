"""Regions as they are drawn: classes, tools, undo, and files that QuPath reads; analyses build on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import napari
from napari.components import ViewerModel
from napari.layers import Labels, Layer, Shapes
from napari.utils.notifications import show_info
from qtpy.QtCore import QTimer
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog

from histoscribe.arrays import Wide
from histoscribe.errors import RegionError, SectionError
from histoscribe.evaluation.regions import keep_regions
from histoscribe.progress import Progress
from histoscribe.section import Section, write_section
from histoscribe.tiles import Region, read_regions, write_regions
from histoscribe.widgets.jobs.tasks import quietly
from histoscribe.widgets.layers.arrangement import is_copy
from histoscribe.widgets.layers.keeping import EDITED
from histoscribe.widgets.layers.layers import MOVES, has_own_spots, is_same, section_of, slide_of, tissue_of
from histoscribe.widgets.layers.painting import sections_in
from histoscribe.widgets.layers.pictures.drawn_regions import MANY, held_regions, in_view
from histoscribe.widgets.layers.regions import (
    PALETTE,
    Colour,
    add_region_layer,
    add_regions,
    classes_in,
    described_regions,
    give_class,
    history_of,
    is_region_layer,
    regions_of,
    use_class,
    warm_up,
)
from histoscribe.widgets.panels.regions import tools
from histoscribe.widgets.panels.regions.tables import ClassTable, RegionList
from histoscribe.widgets.parts.dialogs import path_to_read, save, telling
from histoscribe.widgets.parts.fields import LayerField, number_field
from histoscribe.widgets.parts.panel import Panel, beside

_GEOJSON = "GeoJSON (*.geojson *.json)"
_QUIET_MS = 100
_AT_ONCE = 500_000
"""Bytes of a GeoJSON that are read before anybody notices that the window waits."""
_TAKEN = "taken from"
"""In the metadata of shapes: the picture of many regions that they were taken out of."""


class DrawingPanel(Panel):
    """Draws regions of one section or slide."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self._edition = 0
        self._heard: tuple[Layer | None, Shapes | None] = None, None
        self._brush: Labels | None = None
        self._deaf: Callable[[], None] | None = None
        meaning = "The spots that are counted and compared; or a slide without any, whose areas are measured"
        self.spots = self.add(LayerField("spots", self.viewer, self._is_drawn_on, "On", meaning))
        meaning = "The layer of shapes that are drawn in"
        self.drawn = self.add(LayerField("drawn", self.viewer, is_region_layer, "Regions", meaning))
        self.classes, self.list = ClassTable(), RegionList()
        self.add(self.classes.view)
        self._add_buttons()
        self._later = QTimer(self, singleShot=True, interval=_QUIET_MS)
        self._later.timeout.connect(self.refresh)
        self.classes.chosen.connect(self._on_class)
        self.classes.renamed.connect(self._restyle)
        self.list.changed.connect(self._count_again)
        marks = self.list.view.selectionModel().currentChanged
        marks.connect(lambda *_: Panel.refresh(self))  # which buttons apply
        quietly(self, warm_up, lambda _: None)

    def reset_choices(self, event: object = None) -> None:
        """Offer the layers of now; napari calls it when the layer list changes."""
        super().reset_choices(event)
        self._follow()

    def let_go(self) -> None:
        """Hear of nothing any more; called when it is closed."""
        self._hear_layers((None, None))
        super().let_go()

    def add_class(self) -> None:
        """Add a class with a free colour; what is drawn next belongs to it."""
        used = set(self.classes.colours.values())
        colour = next((one for one in PALETTE if one not in used), PALETTE[len(used) % len(PALETTE)])
        self.classes.add(f"Class {len(self.classes.colours) + 1}", colour)

    def draw(self, mode: str) -> None:
        """Start drawing shapes of the marked class."""
        layer = self._layer()
        layer.visible = True
        use_class(layer, *self._marked())
        self.viewer.layers.selection.active = layer
        layer.mode = mode

    def brush(self, on: bool) -> None:
        """Paint with napari's brush; when the button is released, what was painted is a region."""
        with telling():
            beneath, marked = self._beneath(), self._marked()
            if on:
                self._brush = tools.start_brush(self.viewer, beneath, marked[1])
            elif self._brush is not None and self._brush in self.viewer.layers:
                found = tools.painted(self._brush, beneath, *marked)
                self.viewer.layers.remove(self._brush)
                self._add_found(found)

    def wand(self, on: bool) -> None:
        """While the button is pressed, a click makes a region of tissue of like colour."""
        if self._deaf is not None:
            self._deaf()
        self._deaf = self.hear_clicks(lambda place: self.pick(place[-2:])) if on else None

    def pick(self, place: Wide) -> None:
        """Make a region around a place in the world, (row, column), of what has its colour."""
        with telling():
            beneath, tolerance = self._beneath(), float(self.tolerance.value)
            self._add_found(tools.alike(self.viewer, beneath, place, tolerance, *self._marked()))

    def outline_spots(self, *, marked: bool) -> None:
        """Make a region of the marked spots, or of those with enough of the shown gene."""
        with telling():
            threshold = None if marked else float(self.threshold.value)
            self._add_found(tools.around_spots(self._beneath(), self.state.gene, threshold, *self._marked()))

    def undo(self) -> None:
        """Go back by what was last done to the regions."""
        if isinstance(self.drawn.value, Shapes):
            history_of(self.drawn.value).undo()
            self._count_again()

    @property
    def undoable(self) -> bool:
        """Whether anything was done to the regions."""
        return isinstance(self.drawn.value, Shapes) and history_of(self.drawn.value).undoable

    def give(self) -> None:
        """Give the marked class to the selected shapes."""
        layer, name = self.drawn.value, self.classes.marked
        if not isinstance(layer, Shapes) or not name or not layer.selected_data:
            show_info("Select shapes and mark a class first.")
            return
        with history_of(layer).step():
            give_class(layer, sorted(layer.selected_data), name, self.classes.colours[name])
        self.refresh()

    def edit(self) -> None:
        """Take what is in view out of a picture of many regions as shapes; put it back when pressed again."""
        with telling():
            self.drawn.value = edit_in_view(self.viewer, self.drawn.value, self._beneath())

    def choose_colour(self, colour: QColor | None = None) -> None:
        """Give the marked class another colour; asks for one if none is given."""
        name = self.classes.marked
        if not name:
            return
        picked = colour or QColorDialog.getColor(QColor(*self.classes.colours[name]), self)
        if picked.isValid():
            self.classes.colours[name] = picked.red(), picked.green(), picked.blue()
            self._restyle(name, name)

    def colour_region(self, colour: QColor | None = None) -> None:
        """Give the marked region a colour of its own; asks for one if none is given."""
        picked = colour or QColorDialog.getColor(parent=self)
        if picked.isValid():
            self.list.recolour((picked.red(), picked.green(), picked.blue()))

    def open_regions(self, path: Path | None = None) -> None:
        """Add the regions of a GeoJSON file; asks which if no path is given."""
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

            def show(_: Path, layer: Layer) -> None:
                self.drawn.value = self.viewer.add_layer(layer)

            self.launch(lambda: path, many, show)

    def save_regions(self, path: Path | None = None) -> None:
        """Write the regions as GeoJSON; asks where to if no path is given."""
        with telling():
            write, name = partial(write_regions, self._regions()), tissue_of(self._beneath()).name
            if save(self, "Save regions", f"{name}.geojson", _GEOJSON, path, write):
                EDITED.discard(self.drawn.value)

    def keep_regions(self, path: Path | None = None) -> None:
        """Write the section with its regions as h5ad; asks where to if no path is given."""
        with telling():
            section, regions = self._section(), self._regions()

            def write(place: Path) -> None:
                keep_regions(section.table, regions)
                write_section(section, place)

            if file := save(self, "Keep in", f"{section.name}.h5ad", "h5ad (*.h5ad)", path, write):
                EDITED.difference_update((self.drawn.value, self.spots.value))
                show_info(f"{len(regions)} regions are kept in {file.name}.")

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

    def _marked(self) -> tuple[str, Colour]:
        """The marked class and its colour; a first one where there is none."""
        if not self.classes.marked:
            self.add_class()
        return self.classes.marked, self.classes.colours[self.classes.marked]

    def _add_found(self, regions: list[Region]) -> None:
        if regions:
            with history_of(self._layer()).step():
                add_regions(self._layer(), regions, self._beneath())
            self._count_again()

    def _layer(self) -> Shapes:
        if not isinstance(self.drawn.value, Shapes):
            layer = add_region_layer(self.viewer)
            self.drawn.reset_choices()
            self.drawn.value = layer
        return self.drawn.value

    def _follow(self) -> None:
        """Hear of what is done to the chosen layers: regions are counted where both lie now."""
        heard: tuple[Layer | None, Shapes | None] = self.spots.value, self.drawn.value
        if heard != self._heard:
            self._hear_layers(heard)

    def _hear_layers(self, heard: tuple[Layer | None, Shapes | None]) -> None:
        for (spots, shapes), act in ((self._heard, "disconnect"), (heard, "connect")):
            for layer in (spots, shapes):
                for name in MOVES if layer is not None else ():
                    getattr(layer.events[name], act)(self._later_on)  # type: ignore[union-attr]
            if isinstance(shapes, Shapes):
                history_of(shapes)
                getattr(shapes.events.data, act)(self._on_shapes)
                getattr(shapes.events.features, act)(self._on_features)
        self._heard = heard

    def _later_on(self, *_: object) -> None:
        self._later.start()

    def _on_shapes(self, event: object) -> None:
        """A shape was added, moved or removed (not while it is being drawn)."""
        if str(getattr(event, "action", "")) in ("added", "changed", "removed"):
            self._count_again()

    def _count_again(self) -> None:
        self._on_features()
        self.refresh()

    def _on_features(self, *_: object) -> None:
        self._edition += 1

    def _on_class(self, name: str) -> None:
        if isinstance(self.drawn.value, Shapes) and name:
            use_class(self.drawn.value, name, self.classes.colours[name])

    def _restyle(self, before: str, after: str) -> None:
        """Give the shapes of a class its new name and colour."""
        layer, colour = self.drawn.value, self.classes.colours[after]
        if layer is not None and held_regions(layer):
            beneath = self._beneath()
            regions = [
                replace(one, name=after, colour=colour) if one.name == before else one
                for one in regions_of(layer, beneath)
            ]
            self.drawn.value = redrawn(self.viewer, layer, regions, beneath)
        elif layer is not None:
            rows = [row for row, name in enumerate(classes_in(layer)) if name == before]
            if rows:
                with history_of(layer).step():
                    give_class(layer, rows, after, colour)
            use_class(layer, after, colour)
        self.refresh()

    def _add_buttons(self) -> None:
        polygon, freehand = partial(self.draw, "add_polygon"), partial(self.draw, "add_polygon_lasso")
        marked, above = (partial(self.outline_spots, marked=one) for one in (True, False))
        actions: dict[str, tuple[str, str, Callable[[], object]]] = {
            "add": ("Add class", "Another class, with the next colour", self.add_class),
            "colour": ("Colour…", "Another colour for the marked class", self.choose_colour),
            "give": ("Give class", "The selected shapes become the marked class", self.give),
            "edit": ("Edit in view", "Of very many regions, those in view as shapes; again: back", self.edit),
            "polygon": ("Draw polygon", "Click corner after corner; a double click ends it", polygon),
            "freehand": ("Draw freehand", "Drag around the tissue", freehand),
            "undo": ("Undo", "Go back by what was last done to the regions", self.undo),
            "marked": ("Marked spots", "A region of the spots that a lasso marked", marked),
            "above": ("Gene above", "A region of the spots with at least so much of the shown gene", above),
            "open": ("Open GeoJSON…", "QuPath's annotations, with all it says of them", self.open_regions),
            "save": ("Save GeoJSON…", "For QuPath, with all that it said of them", self.save_regions),
            "keep": (
                "Keep in section…",
                "Write an h5ad file of the section that brings its regions along",
                self.keep_regions,
            ),
            "delete": ("Delete", "Take the marked region away; a locked one stays", self.list.delete),
            "hide": ("Hide", "Hide the marked region, or show it again", self.list.hide),
            "lock": ("Lock", "Keep the marked region as it is, or free it; QuPath reads it", self.list.lock),
            "own": ("Colour…", "A colour for the marked region alone", self.colour_region),
        }
        self.buttons = {name: self.button(*one) for name, one in actions.items()}
        meaning = "Paint with the brush; press again and it is a region"
        self.buttons["brush"] = self.toggle("Brush", meaning, self.brush)
        meaning = "Click on tissue: all around of like colour becomes a region"
        self.buttons["wand"] = self.toggle("Wand", meaning, self.wand)
        rows = (("add", "colour", "give"), ("polygon", "freehand"), ("brush", "wand", "undo"))
        for names in (*rows, ("open", "save"), ("keep", "edit")):
            self.add(beside(*(self.buttons[name] for name in names)))
        for name in ("open", "save", "brush", "wand"):
            self.rule(self.buttons[name], enabled=lambda: self.spots.value is not None)
        for name in ("keep", "marked", "above"):
            self.rule(self.buttons[name], enabled=lambda: section_of(self.spots.value) is not None)
        self.rule(self.buttons["undo"], enabled=lambda: self.undoable)
        for name in ("delete", "hide", "lock", "own"):
            self.rule(self.buttons[name], enabled=lambda: self.list.marked is not None)

    def add_list(self) -> None:
        """Place the list of regions, and what makes regions without corners."""
        self.add(self.list.view, stretch=1)
        self.add(beside(*(self.buttons[name] for name in ("delete", "hide", "lock", "own"))))
        meaning = "How unlike a colour may be that the wand takes along, in CIELAB"
        self.tolerance = self.add(number_field("tolerance", 12, 1, 100, label="Wand", tooltip=meaning))
        meaning = "Of the shown gene, log1p of counts per 10,000"
        self.threshold = self.add(
            number_field("threshold", 1, 0, 15, label="Gene at least", tooltip=meaning, decimals=2)
        )
        self.add(beside(self.buttons["marked"], self.buttons["above"]))


def edit_in_view(viewer: ViewerModel, layer: Layer | None, beneath: Layer) -> Layer:
    """Take the regions in view out of a picture as shapes, or put such shapes back.

    Returns the layer that goes on; raises `RegionError` if there is nothing to take, or too much.
    """
    source = None if layer is None else layer.metadata.get(_TAKEN)
    if layer is not None and source in viewer.layers:
        again = redrawn(viewer, source, [*regions_of(source, beneath), *regions_of(layer, beneath)], beneath)
        viewer.layers.remove(layer)
        return again
    seen = in_view(layer) if layer is not None and held_regions(layer) else []
    if layer is None or not 0 < sum(seen) <= min(MANY, len(seen) - 1):
        problem = f"{sum(seen):,} regions of a picture of many are in view, 1 to {MANY:,} can be edited"
        raise RegionError(problem, remedy="zoom in to those that are to be edited")
    parts: tuple[list[Region], list[Region]] = [], []
    for region, inside in zip(regions_of(layer, beneath), seen, strict=True):
        parts[inside].append(region)
    name, mpp = f"{layer.name}, edited", tissue_of(beneath).mpp or 1.0
    described = described_regions(parts[True], mpp, name, beneath)
    described[1]["metadata"] = {_TAKEN: redrawn(viewer, layer, parts[False], beneath)}
    return viewer.add_layer(Layer.create(*described))


def redrawn(viewer: ViewerModel, layer: Layer, regions: Sequence[Region], beneath: Layer) -> Layer:
    """A layer of other regions, or others of their classes, in the place of one."""
    described = described_regions(regions, tissue_of(beneath).mpp or 1.0, layer.name, beneath)
    again = Layer.create(*described)
    viewer.layers.insert(viewer.layers.index(layer), again)
    viewer.layers.remove(layer)
    return again
