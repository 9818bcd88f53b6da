"""The Regions panel: classes with names and colours, drawn on the tissue, compared, exchanged with QuPath."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Layer, Shapes
from napari.utils.notifications import show_info
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QColorDialog,
    QFormLayout,
    QGridLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from histoscribe.errors import HistoscribeError, RegionError, SectionError
from histoscribe.widgets.layers.layers import DERIVED, section_of
from histoscribe.widgets.layers.regions import (
    PALETTE,
    add_region_layer,
    add_regions,
    class_colours,
    classes_in,
    give_class,
    is_region_layer,
    regions_of,
    use_class,
)
from histoscribe.widgets.napari_private.window import unwrapped
from histoscribe.widgets.panels.regions.analysis import Chosen, RegionAnalysis
from histoscribe.widgets.panels.regions.class_table import ClassTable
from histoscribe.widgets.panels.regions.files import RegionFiles
from histoscribe.widgets.parts.choosers import LayerCombo
from histoscribe.widgets.state.state import state_of

if TYPE_CHECKING:
    import napari

    from histoscribe.section import Section
    from histoscribe.tiles import Region


class RegionsPanel(QWidget):
    """Draws and compares regions of one section.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = unwrapped(napari_viewer)
        self._state = state_of(self._viewer)
        self._heard: Shapes | None = None
        self.spots = LayerCombo(self._viewer, _is_spots)
        self.drawn = LayerCombo(self._viewer, is_region_layer)
        self.spots.setToolTip("The spots that are counted and compared")
        self.drawn.setToolTip("The layer of shapes that are drawn in")
        self.classes = ClassTable()
        self.analysis = RegionAnalysis(self._state, self.chosen)
        buttons = {
            "add": ("Add class", "Another class, with the next colour", self.add_class),
            "colour": ("Colour…", "Another colour for the marked class", self.choose_colour),
            "give": ("Give class", "The selected shapes become the marked class", self.give),
            "polygon": (
                "Draw polygon",
                "Click corner after corner; a double click ends it",
                partial(self.draw, "add_polygon"),
            ),
            "freehand": ("Draw freehand", "Drag around the tissue", partial(self.draw, "add_polygon_lasso")),
        }
        self.buttons = {name: _button(words, meaning, act) for name, (words, meaning, act) in buttons.items()}
        self.files = RegionFiles(self._section, self._regions, self._add)
        self._arrange()
        self.spots.currentIndexChanged.connect(self.refresh)
        self.drawn.currentIndexChanged.connect(self._on_drawn)
        self.classes.chosen.connect(self._on_class)
        self.classes.renamed.connect(self._on_renamed)
        self._state.events.gene.connect(self.analysis.refresh)
        self.reset_choices()

    def reset_choices(self, event: object = None) -> None:
        """Offer the layers of now; napari calls it when the layer list changes."""
        self.spots.refill()
        self.drawn.refill()
        self._on_drawn()

    def kept(self) -> dict[str, Any]:
        """What a session keeps beside the choices: all classes, drawn or not, and the marked one."""
        return {"classes": {**self.classes.colours}, "marked": self.classes.marked}

    def take_back(self, kept: dict[str, Any]) -> None:
        """Offer a session's classes again, and mark the one that was marked."""
        self.classes.take_back(kept.get("classes"), kept.get("marked"))

    def chosen(self) -> Chosen:
        """Spots, regions and classes as they are now.

        Raises
        ------
        HistoscribeError
            If there are no spots or nothing is drawn.
        """
        from histoscribe.evaluation.regions import classes_of

        section = self._section()
        regions = tuple(one for one in self._regions() if one.name)
        if not regions:
            raise RegionError(
                "no shape has a class yet", remedy="mark a class and draw, or give it to a shape"
            )
        return Chosen(
            section, regions, classes_of(section, regions), {one.name: one.colour for one in regions}
        )

    def refresh(self, *_: object) -> None:
        """Count spots and areas again, and redo the plots."""
        layer = self.drawn.layer
        colours = (
            {} if layer is None else {name: colour for name, colour in class_colours(layer).items() if name}
        )
        self.classes.show_classes(colours, [] if layer is None else classes_in(layer), self._counts())
        self.files.setEnabled(self.spots.layer is not None)
        self.analysis.refresh()

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
        use_class(layer, self.classes.marked, self.classes.colours[self.classes.marked])
        self._viewer.layers.selection.active = layer
        layer.mode = mode

    def give(self) -> None:
        """Give the marked class to the selected shapes."""
        layer, name = self.drawn.layer, self.classes.marked
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
            self._restyle(name, name, (picked.red(), picked.green(), picked.blue()))

    def _section(self) -> Section:
        layer = self.spots.layer
        if layer is None:
            raise SectionError("there are no spots to compare", remedy="open or predict a section first")
        return section_of(layer)

    def _regions(self) -> list[Region]:
        section = self._section()
        if self.drawn.layer is None:
            raise RegionError("nothing is drawn", remedy="press Draw polygon and outline some tissue")
        return regions_of(self.drawn.layer, section.mpp)

    def _layer(self) -> Shapes:
        if self.drawn.layer is None:
            self.drawn.choose(add_region_layer(self._viewer))
        return self.drawn.layer

    def _add(self, regions: list[Region]) -> None:
        if regions:
            mpp = self._section().mpp
            add_regions(self._layer(), regions, mpp)
            self.refresh()

    def _counts(self) -> dict[str, tuple[int, float]]:
        """Spots and area in mm² of each class."""
        from histoscribe.evaluation.regions import class_statistics

        try:
            chosen = self.chosen()
        except HistoscribeError:
            return {}
        frame = class_statistics(chosen.labels != "", chosen.labels, chosen.regions, chosen.section.mpp)
        return {str(name): (int(row["spots"]), float(row["area_mm2"])) for name, row in frame.iterrows()}

    def _on_drawn(self, *_: object) -> None:
        layer = self.drawn.layer
        if layer is not self._heard:
            if self._heard is not None:
                self._heard.events.data.disconnect(self._on_shapes)
            if layer is not None:
                layer.events.data.connect(self._on_shapes)
            self._heard = layer
        self.refresh()

    def _on_shapes(self, event: object) -> None:
        """A shape was added, moved or removed (not while it is being drawn)."""
        if str(getattr(event, "action", "")) in ("added", "changed", "removed"):
            self.refresh()

    def _on_class(self, name: str) -> None:
        if self.drawn.layer is not None and name:
            use_class(self.drawn.layer, name, self.classes.colours[name])

    def _on_renamed(self, before: str, after: str) -> None:
        self._restyle(before, after, self.classes.colours[after])

    def _restyle(self, before: str, after: str, colour: tuple[int, int, int]) -> None:
        self.classes.colours[after] = colour
        layer = self.drawn.layer
        if layer is not None:
            rows = [row for row, name in enumerate(classes_in(layer)) if name == before]
            if rows:
                give_class(layer, rows, after, colour)
            use_class(layer, after, colour)
        self.refresh()

    def _arrange(self) -> None:
        form = QFormLayout()
        form.addRow("Spots", self.spots)
        form.addRow("Regions", self.drawn)
        grid = QGridLayout()
        for place, button in enumerate(self.buttons.values()):
            grid.addWidget(button, place // 3, place % 3)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.classes)
        layout.addLayout(grid)
        layout.addWidget(self.files)
        layout.addWidget(self.analysis, 1)
        layout.addWidget(self.analysis.tasks)
        layout.addWidget(self.analysis.words)


def _is_spots(layer: Layer) -> bool:
    return section_of(layer) is not None and DERIVED not in layer.metadata


def _button(words: str, meaning: str, act: object) -> QPushButton:
    button = QPushButton(words)
    button.setToolTip(meaning)
    button.clicked.connect(lambda: act())
    return button
