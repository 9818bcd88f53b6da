"""The Compare panel: measured and predicted of one tissue, on it, in a plot and in a table of genes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer, Points, Shapes
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QSplitter

from histoscribe.arrays import Wide
from histoscribe.errors import SettingError
from histoscribe.evaluation.comparison import SCORES_CSV
from histoscribe.genes import symbol_of
from histoscribe.palette import MARK
from histoscribe.record import SPLIT_MEANING
from histoscribe.section import Section
from histoscribe.section.registration.transform import through
from histoscribe.tiles import Region
from histoscribe.widgets.layers.arrangement import is_copy, show_only, side_by_side
from histoscribe.widgets.layers.layers import (
    BROUGHT,
    COMPARED,
    UM,
    add_layer,
    affine_of,
    has_own_spots,
    kind_of,
    known_section,
    to_pixels,
)
from histoscribe.widgets.layers.making import Recipe, made, written
from histoscribe.widgets.layers.painting import paint, painted_layers, rim, spot_layers
from histoscribe.widgets.layers.raster import is_raster, mark_bins
from histoscribe.widgets.napari_private.window import added_in_turns
from histoscribe.widgets.panels.compare import comparing
from histoscribe.widgets.parts.dialogs import write_csv
from histoscribe.widgets.parts.fields import LayerField
from histoscribe.widgets.parts.panel import Panel, Words, beside
from histoscribe.widgets.parts.plots import Scatter
from histoscribe.widgets.parts.tables import TableModel, table_view
from histoscribe.widgets.parts.verdict import VerdictBanner

_BLINK_MS = 700


class ComparePanel(Panel):
    """Compares a measured with a predicted layer of the same tissue."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self.compared: comparing.Compared | None = None
        self._marks: MarkedSpots | None = None
        self._pair: tuple[Layer, Layer] | None = None
        self._again: dict[str, Any] = {}
        self._timer = QTimer(self, interval=_BLINK_MS)
        self._timer.timeout.connect(self._blink)
        self.measured = self._add_choice("measured", "What was measured")
        self.predicted = self._add_choice("predicted", "A prediction of the same tissue")
        self.add_run(
            "Compare",
            "Match the spots of both layers and score every gene",
            ready=lambda: self.measured.value is not None and self.predicted.value is not None,
        )
        self.words = self.add(Words("Choose a measured and a predicted layer of the same tissue."))
        self.verdict = self.add(
            VerdictBanner(self, lambda: [self.compared.predicted] if self.compared else [])
        )
        meaning = "Measured, predicted and difference side by side, moved together"
        self.panes_button = self.toggle("Panes", meaning, self._on_panes)
        meaning = "Show measured and predicted in turn at the same place"
        self.blink_button = self.toggle("Blink", meaning, self._on_blink)
        meaning = "Every section open here in a pane of its own"
        self.all_button = self.toggle(
            "All sections",
            meaning,
            lambda on: self._panes(on, spot_layers(self.viewer), []),
            enabled=lambda: len(spot_layers(self.viewer)) > 1,
        )
        self.add(beside(self.panes_button, self.blink_button, self.all_button))
        self.scatter, self.table = Scatter(), TableModel()
        self.view = table_view(self.table, chosen=self.state.choose)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.scatter)
        split.addWidget(self.view)
        self.add(split, stretch=1)
        self.lasso_button = self.button(
            "Lasso on the tissue",
            "Draw around tissue; its spots are marked in the plot and on both layers",
            lambda: lasso_on_tissue(self.viewer, self._on_tissue_lasso),
        )
        self.export_button = self.button("Save the table…", "Every gene's scores as CSV", self.save_table)
        self.add(beside(self.lasso_button, self.export_button))
        for one in (self.panes_button, self.blink_button, self.lasso_button, self.export_button):
            self.rule(one, enabled=lambda: self.compared is not None)
        self.scatter.lassoed.connect(self._on_lasso)
        self.hear(self.state.events.gene, self._show_gene)
        self.finish(stretch=False)

    def reset_choices(self, event: object = None) -> None:
        """Offer the layers of now; napari calls it when the layer list changes."""
        if self._pair is not None and any(layer not in self.viewer.layers for layer in self._pair):
            self.forget()
        super().reset_choices(event)

    def kept(self) -> dict[str, Any]:
        """What a session keeps beside the choices: whether layers were compared, and how they were shown."""
        if self.compared is None:
            return {}
        difference = self._difference()
        return {
            "panes": self.panes_button.isChecked(),
            "blink": self.blink_button.isChecked(),
            "difference": None if difference is None else self.viewer.layers.index(difference),
        }

    def take_back(self, kept: dict[str, Any]) -> None:
        """Compare again what a session had compared, leaving the camera where it is."""
        self._again = kept
        self.start()

    def start(self) -> None:
        """Compare the two chosen layers."""
        layers = self.measured.value, self.predicted.value
        self.launch(self.request, comparing.compare_sections, partial(self._show, layers))

    def request(self) -> tuple[Section, Section]:
        """What the panel asks for as it stands; `SettingError` if a layer is missing."""
        measured, predicted = self.measured.value, self.predicted.value
        if measured is None or predicted is None:
            raise SettingError("there is nothing to compare", remedy="open or predict both layers first")
        return known_section(measured), known_section(predicted)

    def save_table(self, path: Path | None = None) -> None:
        """Write the table of genes as CSV; asks where to if no path is given."""
        if self.compared is not None:
            name, genes = f"{self.compared.measured.name}-genes.csv", self.compared.genes
            if file := write_csv(self, "Save the table", name, genes, path, **SCORES_CSV):
                written(self.viewer, file, self.compared)

    def _show(self, layers: tuple[Layer, Layer], _: object, compared: comparing.Compared) -> Generator[None]:
        """Show a comparison step by step, until it is done or one of its layers has gone."""
        self.forget()
        if any(layer not in self.viewer.layers for layer in layers):
            return
        self.compared, self._pair = compared, layers
        both = {"measured": compared.measured, "predicted": compared.predicted}
        made(self.viewer, compared, Recipe("compare", both))
        for _step in self._in_turns(compared, layers):
            yield
            if self.compared is not compared:
                return

    def _in_turns(self, compared: comparing.Compared, layers: tuple[Layer, Layer]) -> Generator[None]:
        """Table, scatter, difference, panes: the window answers in between."""
        self.table.show_frame(compared.genes, comparing.COLUMNS, comparing.MEANINGS)
        known = compared.genes["pearson"].dropna()
        self.words.setText(
            f"Mean r {known.mean():.3f} over {len(known)} genes and {len(compared.match.measured)} spots. "
            f"{SPLIT_MEANING[compared.split]}"
        )
        self.verdict.refresh()
        yield
        if self.state.gene not in compared.genes.index:
            self.state.choose(str(compared.genes.index[0]))
        self._show_gene()
        rows = dict(zip(layers, (compared.match.measured, compared.match.predicted), strict=True))
        self._marks = MarkedSpots(rows, self.scatter.mark)
        yield
        yield from added_in_turns(self.viewer, comparing.described_difference(compared, layers[0]))
        self.refresh()
        yield
        again, self._again = self._again, {}
        if again:
            self._show_as(again)
        else:
            self.panes_button.setChecked(True)

    def _show_as(self, again: dict[str, Any]) -> None:
        """Show a comparison as `kept` described it; camera and what is visible stay."""
        camera = self.viewer.scene.camera
        seen = camera.center, camera.zoom
        difference, place = self._difference(), again.get("difference")
        if difference is None:
            return
        visible = {
            one: one.visible for one in self.viewer.layers if not is_copy(one) and one is not difference
        }
        difference.visible = False
        if isinstance(place, int) and 0 <= place < len(self.viewer.layers):
            self.viewer.layers.move(self.viewer.layers.index(difference), place)
        paint(self.viewer, self.state)
        self.panes_button.setChecked(bool(again.get("panes")))
        self.blink_button.setChecked(bool(again.get("blink")))
        for layer, shown in visible.items():
            layer.visible = shown
        camera.center, camera.zoom = seen

    def let_go(self) -> None:
        """Hear of nothing any more; called when it is closed."""
        if self._marks is not None:
            self._marks.forget()
        super().let_go()

    def forget(self) -> None:
        """Let go of the last comparison and its marks."""
        if self._marks is not None:
            self._marks.mark(np.zeros(0, dtype=np.intp))
            self._marks.forget()
        self.compared = self._marks = self._pair = None
        self.blink_button.setChecked(False)
        self.verdict.refresh()
        self.table.show_frame(None)
        self.scatter.show_values(np.zeros(0), np.zeros(0), "")

    def _show_gene(self, *_: object) -> None:
        if self.compared is None or self.state.gene not in self.compared.genes.index:
            return
        gene = self.state.gene
        title = f"{symbol_of(gene)}, r = {self.compared.genes['pearson'][gene]:.2f}"
        self.scatter.show_values(*self.compared.values(gene), title)

    def _on_panes(self, on: bool) -> None:
        if self._pair is None or self.compared is None:
            return
        if on:
            self.blink_button.setChecked(False)
        difference = self._difference()
        if difference is None:
            difference = add_layer(self.viewer, comparing.described_difference(self.compared, self._pair[0]))
        self._panes(on, [*self._pair, difference] if on else [], [] if on else [difference])

    def _panes(self, on: bool, shown: list[Layer], hidden: list[Layer]) -> None:
        """Show these layers of spots and no other, or all but the hidden ones; with or without panes."""
        painted = painted_layers(self.viewer)
        show_only(painted, shown or [layer for layer in painted if layer not in hidden])
        side_by_side(self.viewer, on)
        paint(self.viewer, self.state)
        self.viewer.fit_to_view()

    def _difference(self) -> Layer | None:
        """The layer of the difference, where it is there."""
        known = self.compared
        found = (one for one in self.viewer.layers if known and one.metadata.get(COMPARED) is known)
        return next(found, None)

    def _on_blink(self, on: bool) -> None:
        if self._pair is None or not on:
            self._timer.stop()
            for layer in self._pair or ():
                layer.visible = True
            return
        self.panes_button.setChecked(False)
        show_only(painted_layers(self.viewer), self._pair[:1])
        self._timer.start()

    def _blink(self) -> None:
        if self._pair is not None:
            first, second = self._pair
            first.visible, second.visible = not first.visible, first.visible

    def _on_lasso(self, rows: NDArray[np.intp]) -> None:
        if self._marks is not None:
            self._marks.mark(rows)

    def _on_tissue_lasso(self, corners: Wide) -> None:
        if self.compared is None or self._marks is None or self._pair is None:
            return
        layer = self._pair[0]
        centres = self.compared.measured.centres[self.compared.match.measured]
        home = corners + layer.metadata.get(BROUGHT, 0.0)
        inside = Region("", (0, 0, 0), through(to_pixels(layer), home)).contains(centres)
        places = np.flatnonzero(inside)
        self._marks.mark(places)
        self.scatter.mark(places)

    def _add_choice(self, kind: str, meaning: str) -> LayerField:
        def wanted(layer: Layer) -> bool:
            return has_own_spots(layer) and kind_of(known_section(layer)) == kind

        return self.add(LayerField(kind, self.viewer, wanted, kind.capitalize(), meaning))


class MarkedSpots:
    """Keeps the marked spots of several layers the same, and tells `changed` the places that the user marks.

    For each layer it is given which of its rows stands for each of the common places. Bins of a raster are
    marked from elsewhere only.
    """

    def __init__(
        self, layers: dict[Points | Image, NDArray[np.intp]], changed: Callable[[NDArray[np.intp]], None]
    ) -> None:
        self._layers = {layer: rows for layer, rows in layers.items() if not is_raster(layer)}
        self._rasters = {layer: rows for layer, rows in layers.items() if is_raster(layer)}
        self._changed = changed
        self._marked: set[int] = set()
        self._busy = False
        for layer in self._layers:
            layer.selected_data.events.items_changed.connect(self._on_marks)

    def mark(self, places: NDArray[np.intp]) -> None:
        """Mark these places on every layer."""
        self._busy = True
        for layer, rows in self._layers.items():
            layer.selected_data = set(rows[places].tolist())
            rim(layer, rows[places])
        for layer, rows in self._rasters.items():
            mark_bins(layer, rows[places])
        self._marked = set(places.tolist())
        self._busy = False

    def forget(self) -> None:
        """Let the layers go."""
        for layer in self._layers:
            layer.selected_data.events.items_changed.disconnect(self._on_marks)

    def _on_marks(self, *_: object) -> None:
        """Follow the layer whose marks are no longer those of all."""
        if self._busy:
            return
        for layer, rows in self._layers.items():
            places = np.flatnonzero(np.isin(rows, list(layer.selected_data)))
            if set(places.tolist()) != self._marked:
                self.mark(places)
                self._changed(places)
                return


def lasso_on_tissue(viewer: ViewerModel, done: Callable[[Wide], None]) -> Shapes:
    """Let the user draw one outline around tissue; `done` receives its corners in µm, (row, column)."""
    layer = viewer.add_shapes(
        ndim=2, name="lasso on the tissue", units=(UM, UM), face_color="transparent", edge_color=MARK
    )
    layer.current_edge_width = 6
    layer.mode = "add_polygon_lasso"

    def closed(event: object) -> None:
        if str(getattr(event, "action", "")) == "added":
            QTimer.singleShot(0, lambda: _finish(viewer, layer, done))

    layer.events.data.connect(closed)
    return layer


def _finish(viewer: ViewerModel, layer: Shapes, done: Callable[[Wide], None]) -> None:
    """Hand over the outline as it is now, and remove the layer; only the first time."""
    if layer in viewer.layers:
        corners = through(affine_of(layer), np.asarray(layer.data[-1])) if layer.nshapes else None
        viewer.layers.remove(layer)
        if corners is not None and len(corners) > 2:
            done(corners)
