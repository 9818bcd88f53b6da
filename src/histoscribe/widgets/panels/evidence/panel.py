"""The Evidence panel: a click on a predicted spot shows what its prediction rests on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QScrollArea,
    QSpinBox,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from histoscribe.widgets.jobs.tasks import quietly
from histoscribe.widgets.layers.colours import UNITS
from histoscribe.widgets.layers.layers import kind_of, section_of
from histoscribe.widgets.layers.maps import spot_at, spots_of
from histoscribe.widgets.layers.painting import rim, spot_layers, values_on
from histoscribe.widgets.layers.raster import is_raster
from histoscribe.widgets.napari_private.window import unwrapped
from histoscribe.widgets.panels.evidence.behind import Behind, behind, has_evidence, interval_of
from histoscribe.widgets.panels.evidence.explain import GeneTrace
from histoscribe.widgets.panels.evidence.map_choices import MapChoices
from histoscribe.widgets.parts.choosers import LayerCombo
from histoscribe.widgets.parts.pictures import show_picture
from histoscribe.widgets.state.state import state_of

if TYPE_CHECKING:
    import napari

_COLUMNS = 3
_UNLIKE = "background: #5c2b2e; color: white; padding: 6px; border-radius: 4px;"
_LIKE = "padding: 6px;"
_HINT = "Click a predicted spot on the tissue, or choose its number above."


class EvidencePanel(QWidget):
    """Shows what lies behind one predicted spot, and maps of what lies behind a whole prediction.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = unwrapped(napari_viewer)
        self._state = state_of(self._viewer)
        self.shown: Behind | None = None
        self.layer = LayerCombo(self._viewer, _can_explain)
        self.row = QSpinBox()
        self.row.setToolTip("Number of the spot; the arrow keys go through all of them")
        self.rings = QCheckBox("Ring spots unlike the training tissue")
        self.rings.setToolTip(
            "A rim around each spot whose tissue lies further off than 99 % of the training tissue"
        )
        self.title, self.novelty, self.value = QLabel(_HINT), QLabel(), QLabel()
        self.own = QLabel()
        self.maps, self.trace = MapChoices(self._viewer), GeneTrace(self._viewer)
        self.tabs = QTabWidget()
        for words in (self.title, self.novelty, self.value):
            words.setWordWrap(True)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(4)
        self._arrange()
        self.layer.currentIndexChanged.connect(self._on_layer)
        self.row.valueChanged.connect(self._on_row)
        self.rings.toggled.connect(self._on_rings)
        self.trace.mapped.connect(self.maps.refresh)
        self._state.events.gene.connect(self._show_value)
        self._viewer.mouse_drag_callbacks.append(self._on_click)
        callbacks, click = self._viewer.mouse_drag_callbacks, self._on_click
        self.destroyed.connect(lambda: callbacks.remove(click) if click in callbacks else None)
        self._on_layer()

    def reset_choices(self, event: object = None) -> None:
        """Offer the layers of now; napari calls it when the layer list changes."""
        before = self.layer.layer
        self.layer.refill()
        if self.layer.layer is not before:
            self._on_layer()
        self.maps.refresh()

    def explain(self, layer: Layer, row: int) -> None:
        """Show what lies behind one spot of a layer."""
        self.layer.choose(layer)
        self.row.blockSignals(True)
        self.row.setValue(row)
        self.row.blockSignals(False)
        self.trace.on_spot(layer, row)
        at_hand = {
            one.name: one for one in map(section_of, spot_layers(self._viewer)) if kind_of(one) == "measured"
        }
        quietly(partial(behind, section_of(layer), row, at_hand), partial(self._show, layer, row))

    def _on_click(self, viewer: Any, event: Any) -> Iterator[None]:
        """A press without a drag on a spot that can be explained."""
        start = np.array(event.position)
        yield
        while event.type == "mouse_move":
            yield
        if not np.allclose(start, event.position):
            return
        for layer in reversed(list(viewer.layers)):
            spots = spots_of(viewer, layer)
            if layer.visible and spots is not None and _can_explain(spots):
                row = spot_at(layer, event.position)
                if row is not None:
                    self.explain(spots, row)
                    return

    def _on_layer(self, *_: object) -> None:
        layer = self.layer.layer
        self.row.setEnabled(layer is not None)
        section = None if layer is None else section_of(layer)
        known = section is not None and "unlike_training" in section.table.obs
        self.rings.setEnabled(known and not is_raster(layer))
        self.row.blockSignals(True)
        self.row.setRange(0, 0 if section is None else max(0, section.table.n_obs - 1))
        self.row.blockSignals(False)
        self.maps.set_layer(layer)
        self.trace.set_layer(layer)
        self._clear()

    def _on_row(self, row: int) -> None:
        if self.layer.layer is not None:
            self.explain(self.layer.layer, row)

    def _on_rings(self, on: bool) -> None:
        layer = self.layer.layer
        if layer is not None:
            unlike = section_of(layer).table.obs["unlike_training"].to_numpy(dtype=bool)
            rim(layer, np.flatnonzero(unlike & on))

    def _show(self, layer: Layer, row: int, found: Behind) -> None:
        if layer not in self._viewer.layers:
            self._clear()
            return
        self.shown = found
        self._clear_grid()
        self.title.setText(f"<b>{found.name}</b> of {layer.name}")
        show_picture(self.own, found.crop, "The tissue at this spot, 150 µm wide")
        self.novelty.setVisible(found.novelty is not None)
        if found.novelty is not None:
            unlike = found.novelty > 1
            self.novelty.setStyleSheet(_UNLIKE if unlike else _LIKE)
            words = "unlike the training tissue: take it with care" if unlike else "like the training tissue"
            self.novelty.setText(
                f"This tissue is {words} (distance {found.novelty:.2f}; 1 is the usual limit)."
            )
        for place, reference in enumerate(found.references):
            where = f"{reference.section} {reference.spot}"
            picture, words = (
                QLabel(),
                QLabel(f"{reference.share:.1%}\n{reference.section}\n{_short(reference.spot)}"),
            )
            show_picture(picture, reference.crop, f"Reference spot {where}, weight {reference.share:.1%}")
            words.setToolTip(where)
            self._grid.addWidget(picture, 2 * (place // _COLUMNS), place % _COLUMNS)
            self._grid.addWidget(words, 2 * (place // _COLUMNS) + 1, place % _COLUMNS)
        if found.others:
            self._grid.addWidget(
                QLabel(f"{found.others:.0%} others"), 2 * (len(found.references) // _COLUMNS + 1), 0
            )
        self._show_value()

    def _show_value(self, *_: object) -> None:
        layer, gene = self.layer.layer, self._state.gene
        values = None if layer is None or not gene or self.shown is None else values_on(layer, gene)
        if values is None:
            self.value.clear()
            return
        row = self.row.value()
        ends = interval_of(section_of(layer), row, gene)
        words = "no interval is known" if ends is None else f"90 % interval {ends[0]:.2f} to {ends[1]:.2f}"
        self.value.setText(f"{gene}: {values[row]:.2f} {UNITS}; {words}.")

    def _clear(self) -> None:
        self.shown = None
        self._clear_grid()
        hint = (
            _HINT
            if self.layer.layer is not None
            else "Predict first: there is no layer that names its evidence."
        )
        self.title.setText(hint)
        for words in (self.novelty, self.value, self.own):
            words.clear()
            words.setStyleSheet("")

    def _clear_grid(self) -> None:
        while self._grid.count():
            widget = self._grid.takeAt(0).widget()
            widget.hide()
            widget.deleteLater()

    def _arrange(self) -> None:
        form = QFormLayout()
        form.addRow("Layer", self.layer)
        form.addRow("Spot", self.row)
        content = QWidget()
        inner = QVBoxLayout(content)
        heading = QLabel("Reference spots behind it, by weight")
        for widget in (self.title, self.own, self.novelty, self.value, heading):
            inner.addWidget(widget)
        inner.addLayout(self._grid)
        inner.addStretch(1)
        whole = QWidget()
        parts = QVBoxLayout(whole)
        for widget in (self.rings, self.maps, self.trace):
            parts.addWidget(widget)
        parts.addStretch(1)
        self.tabs.addTab(_scrolled(content), "One spot")
        self.tabs.addTab(_scrolled(whole), "All spots")
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.tabs, 1)


def _can_explain(layer: Layer) -> bool:
    return has_evidence(section_of(layer))


def _scrolled(content: QWidget) -> QScrollArea:
    scroll = QScrollArea()
    scroll.setWidgetResizable(True)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    scroll.setWidget(content)
    beside = scroll.verticalScrollBar().sizeHint().width() + 2 * scroll.frameWidth()
    scroll.setMinimumWidth(content.minimumSizeHint().width() + beside)
    return scroll


def _short(spot: str) -> str:
    return spot if len(spot) <= 8 else f"{spot[:7]}…"
