"""The Compare panel: measured, predicted and their difference, a scatter with lasso, a table of genes."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer
from qtpy.QtCore import QModelIndex, Qt, QTimer
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from histoscribe.errors import SettingError
from histoscribe.widgets.jobs.tasks import TaskBar, tell
from histoscribe.widgets.layers.arrangement import is_copy, show_only, side_by_side
from histoscribe.widgets.layers.layers import DERIVED, section_of
from histoscribe.widgets.layers.painting import paint, painted_layers, spot_layers
from histoscribe.widgets.napari_private.window import added_in_turns, unwrapped
from histoscribe.widgets.panels.compare.comparing import COLUMNS, MEANINGS, Compared, compare_layers
from histoscribe.widgets.panels.compare.linking import MarkedSpots, lasso_on_tissue
from histoscribe.widgets.panels.compare.views import described_difference, difference_layer, is_kind
from histoscribe.widgets.parts.choosers import LayerCombo
from histoscribe.widgets.parts.plots import Scatter
from histoscribe.widgets.parts.tables import TableModel, table_view
from histoscribe.widgets.state.state import state_of

if TYPE_CHECKING:
    import napari
    from numpy.typing import NDArray

_BLINK_MS = 700


class ComparePanel(QWidget):
    """Compares a measured with a predicted layer of the same tissue.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = unwrapped(napari_viewer)
        self._state = state_of(self._viewer)
        self.compared: Compared | None = None
        self._marks: MarkedSpots | None = None
        self._pair: tuple[Layer, Layer] | None = None
        self._again: dict[str, Any] = {}
        self.measured = LayerCombo(self._viewer, partial(is_kind, "measured"))
        self.predicted = LayerCombo(self._viewer, partial(is_kind, "predicted"))
        self.run_button = QPushButton("Compare")
        self.run_button.setToolTip("Match the spots of both layers and score every gene")
        self.measured.setToolTip("What was measured")
        self.predicted.setToolTip("A prediction of the same tissue")
        self.tasks = TaskBar()
        self.words = QLabel("Choose a measured and a predicted layer of the same tissue.")
        self.words.setWordWrap(True)
        self.panes_button = _toggle(
            "Panes", "Measured, predicted and difference side by side, moved together"
        )
        self.blink_button = _toggle("Blink", "Show measured and predicted in turn at the same place")
        self.all_button = _toggle("All sections", "Every section open here in a pane of its own")
        self.scatter = Scatter()
        self.lasso_button = QPushButton("Lasso on the tissue")
        self.lasso_button.setToolTip(
            "Draw around tissue; its spots are marked in the plot and on both layers"
        )
        self.table = TableModel()
        self.view = table_view(self.table)
        self.export_button = QPushButton("Save the table…")
        self.export_button.setToolTip("Every gene's scores as CSV")
        self._timer = QTimer(self)
        self._timer.setInterval(_BLINK_MS)
        self._arrange()
        self._connect()
        self._show_what_applies()

    def reset_choices(self, event: object = None) -> None:
        """Offer the layers of now; napari calls it when the layer list changes."""
        self.measured.refill()
        self.predicted.refill()
        if self._pair is not None and any(layer not in self._viewer.layers for layer in self._pair):
            self._forget()
        self._show_what_applies()

    def kept(self) -> dict[str, Any]:
        """What a session keeps beside the choices: whether layers were compared, and how they were shown."""
        if self.compared is None:
            return {}
        layers = self._viewer.layers
        return {
            "panes": self.panes_button.isChecked(),
            "blink": self.blink_button.isChecked(),
            "difference": layers.index(self._difference()),
        }

    def take_back(self, kept: dict[str, Any]) -> None:
        """Compare again what a session had compared, leaving the camera where it is."""
        self._again = kept
        self.start()

    def start(self) -> None:
        """Compare the two chosen layers."""
        layers = self.measured.layer, self.predicted.layer
        if None in layers:
            tell(SettingError("there is nothing to compare", remedy="open or predict both layers first"))
            return
        self.tasks.run(partial(compare_layers, *map(section_of, layers)), partial(self._show, layers))

    def save_table(self, path: Path | None = None) -> None:
        """Write the table of genes as CSV; asks where to if no path is given."""
        if self.compared is None:
            return
        if path is None:
            name = f"{self.compared.measured.name}-genes.csv"
            chosen, _ = QFileDialog.getSaveFileName(self, "Save the table", name, "CSV (*.csv)")
            if not chosen:
                return
            path = Path(chosen)
        from histoscribe.files import replacing

        try:
            with replacing(path) as fresh:
                self.compared.genes.to_csv(fresh, index_label="gene")
        except Exception as error:
            tell(error)

    def _show(self, layers: tuple[Layer, Layer], compared: Compared) -> Generator[None]:
        """Show a comparison step by step, until it is done or one of its layers has gone."""
        self._forget()
        if any(layer not in self._viewer.layers for layer in layers):
            return
        self.compared, self._pair = compared, layers
        for _ in self._in_turns(compared, layers):
            yield
            if self.compared is not compared:
                return

    def _in_turns(self, compared: Compared, layers: tuple[Layer, Layer]) -> Generator[None]:
        """Table, scatter, difference, panes: the window answers in between."""
        self.table.show_frame(compared.genes, COLUMNS, MEANINGS)
        known = compared.genes["pearson"].dropna()
        self.words.setText(
            f"Mean r {known.mean():.3f} over {len(known)} genes and {len(compared.match.measured)} spots; "
            f"{compared.split}."
        )
        yield
        if self._state.gene not in compared.genes.index:
            self._state.choose(str(compared.genes.index[0]))
        self._show_gene()
        rows = dict(zip(layers, (compared.match.measured, compared.match.predicted), strict=True))
        self._marks = MarkedSpots(rows, self.scatter.mark)
        yield
        yield from added_in_turns(self._viewer, described_difference(compared, layers[0]))
        self._show_what_applies()
        yield
        again, self._again = self._again, {}
        if again:
            self._show_as(again)
        else:
            self.panes_button.setChecked(True)

    def _show_as(self, again: dict[str, Any]) -> None:
        """Show a comparison as `kept` described it; camera and what is visible stay."""
        camera = self._viewer.scene.camera
        seen = camera.center, camera.zoom
        difference, place = self._difference(), again.get("difference")
        visible = {
            one: one.visible for one in self._viewer.layers if not is_copy(one) and one is not difference
        }
        difference.visible = False
        if isinstance(place, int) and 0 <= place < len(self._viewer.layers):
            self._viewer.layers.move(self._viewer.layers.index(difference), place)
        paint(self._viewer, self._state)
        self.panes_button.setChecked(bool(again.get("panes")))
        self.blink_button.setChecked(bool(again.get("blink")))
        for layer, shown in visible.items():
            layer.visible = shown
        camera.center, camera.zoom = seen

    def _forget(self) -> None:
        if self._marks is not None:
            self._marks.mark(np.zeros(0, dtype=np.intp))
            self._marks.forget()
        self.compared = self._marks = self._pair = None
        self.blink_button.setChecked(False)
        self.table.show_frame(None, COLUMNS, MEANINGS)
        self.scatter.show_values(np.zeros(0), np.zeros(0), "")

    def _show_gene(self, *_: object) -> None:
        if self.compared is None or self._state.gene not in self.compared.genes.index:
            return
        r = self.compared.genes.at[self._state.gene, "pearson"]
        self.scatter.show_values(*self.compared.values(self._state.gene), f"{self._state.gene}, r = {r:.2f}")

    def _on_row(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if current.isValid():
            self._state.choose(self.table.gene_at(current.row()))

    def _on_panes(self, on: bool) -> None:
        if self._pair is None or self.compared is None:
            return
        if on:
            self.blink_button.setChecked(False)
        shown = [*self._pair, self._difference()]
        painted = painted_layers(self._viewer)
        show_only(painted, shown if on else [layer for layer in painted if layer is not shown[-1]])
        side_by_side(self._viewer, on)
        paint(self._viewer, self._state)
        self._viewer.fit_to_view()

    def _difference(self) -> Layer:
        assert self.compared is not None
        assert self._pair is not None
        return difference_layer(self._viewer, self.compared, self._pair[0])

    def _on_blink(self, on: bool) -> None:
        if self._pair is None or not on:
            self._timer.stop()
            for layer in self._pair or ():
                layer.visible = True
            return
        self.panes_button.setChecked(False)
        show_only(painted_layers(self._viewer), self._pair[:1])
        self._timer.start()

    def _blink(self) -> None:
        if self._pair is not None:
            first, second = self._pair
            first.visible, second.visible = not first.visible, first.visible

    def _on_all(self, on: bool) -> None:
        painted = painted_layers(self._viewer)
        show_only(painted, [layer for layer in painted if DERIVED not in layer.metadata])
        side_by_side(self._viewer, on)
        paint(self._viewer, self._state)
        self._viewer.fit_to_view()

    def _on_lasso(self, rows: NDArray[np.intp]) -> None:
        if self._marks is not None:
            self._marks.mark(rows)

    def _on_tissue_lasso(self, corners: NDArray[np.float64]) -> None:
        if self.compared is None or self._marks is None:
            return
        from histoscribe.tiles import Region

        centres = self.compared.measured.centres_um[self.compared.match.measured]
        places = np.flatnonzero(Region("", (0, 0, 0), corners).contains(centres))
        self._marks.mark(places)
        self.scatter.mark(places)

    def _show_what_applies(self, *_: object) -> None:
        both = self.measured.layer is not None and self.predicted.layer is not None
        self.run_button.setEnabled(both and not self.tasks.running)
        for widget in (self.panes_button, self.blink_button, self.lasso_button, self.export_button):
            widget.setEnabled(self.compared is not None)
        self.all_button.setEnabled(len(spot_layers(self._viewer)) > 1)

    def _connect(self) -> None:
        self.run_button.clicked.connect(self.start)
        self.tasks.running_changed.connect(self._show_what_applies)
        self.panes_button.toggled.connect(self._on_panes)
        self.blink_button.toggled.connect(self._on_blink)
        self.all_button.toggled.connect(self._on_all)
        self.export_button.clicked.connect(lambda: self.save_table())
        self.lasso_button.clicked.connect(lambda: lasso_on_tissue(self._viewer, self._on_tissue_lasso))
        self.scatter.lassoed.connect(self._on_lasso)
        self.view.selectionModel().currentChanged.connect(self._on_row)
        self._timer.timeout.connect(self._blink)
        self._state.events.gene.connect(self._show_gene)

    def _arrange(self) -> None:
        form = QFormLayout()
        form.addRow("Measured", self.measured)
        form.addRow("Predicted", self.predicted)
        buttons = QHBoxLayout()
        for button in (self.panes_button, self.blink_button, self.all_button):
            buttons.addWidget(button)
        below = QHBoxLayout()
        below.addWidget(self.lasso_button)
        below.addWidget(self.export_button)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.scatter)
        split.addWidget(self.view)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        for widget in (self.run_button, self.tasks, self.words):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        layout.addWidget(split, 1)
        layout.addLayout(below)


def _toggle(words: str, meaning: str) -> QPushButton:
    button = QPushButton(words)
    button.setCheckable(True)
    button.setToolTip(meaning)
    return button
