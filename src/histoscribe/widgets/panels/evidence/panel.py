"""The Evidence panel: a click on a predicted spot shows what its prediction rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import napari
import numpy as np
from magicgui.widgets import SpinBox
from napari.layers import Layer
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from histoscribe.arrays import Pixels, Wide
from histoscribe.errors import SlideError
from histoscribe.predictor.retrieval.evidence import evidence_of
from histoscribe.section import Section
from histoscribe.slide import Window
from histoscribe.widgets.jobs.tasks import quietly
from histoscribe.widgets.layers.colours import UNITS
from histoscribe.widgets.layers.layers import known_section, section_of
from histoscribe.widgets.layers.maps import spot_at, spots_of
from histoscribe.widgets.layers.painting import measured_in, rim, values_on
from histoscribe.widgets.layers.raster import is_raster
from histoscribe.widgets.panels.evidence.explaining import GeneTrace
from histoscribe.widgets.panels.evidence.map_choices import MapChoices
from histoscribe.widgets.parts.fields import LayerField, tick_field
from histoscribe.widgets.parts.panel import Panel, Words
from histoscribe.widgets.parts.plots import show_picture

_COLUMNS = 3
_UNLIKE = "background: #5c2b2e; color: white; padding: 6px; border-radius: 4px;"
_LIKE = "padding: 6px;"
_HINT = "Click a predicted spot on the tissue, or choose its number above."
_NOTHING = "Predict first: there is no layer that names its evidence."

MOST = 8
_CROP_UM = 150.0
_PIXELS = 96


class EvidencePanel(Panel):
    """Shows what lies behind one predicted spot, and maps of what lies behind a whole prediction."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self.shown: Behind | None = None
        self._chosen: Layer | None = None
        meaning = "The predicted spots to explain"
        self.layer = self.add(LayerField("layer", self.viewer, _has_evidence, "Layer", meaning))
        meaning = "Number of the spot; the arrow keys go through all of them"
        self.row = self.add(
            SpinBox(name="row", label="Spot", tooltip=meaning), enabled=lambda: self.layer.value is not None
        )
        self.tabs = self.add_tabs("tab")
        with self.tab(self.tabs, "One spot"):
            self.title, self.own = self.add(Words(_HINT)), self.add(QLabel())
            self.novelty, self.value = self.add(Words()), self.add(Words())
            self.add(QLabel("Reference spots behind it, by weight"))
            self._grid = QGridLayout(self.add(QWidget()))
            self._grid.setContentsMargins(0, 0, 0, 0)
            self._grid.setHorizontalSpacing(4)
            self.add(QWidget(), stretch=1)
        with self.tab(self.tabs, "All spots"):
            meaning = "A rim around each spot whose tissue lies further off than 99 % of the training tissue"
            self.rings = self.add(
                tick_field("rings", "Ring spots unlike the training tissue", meaning), enabled=self._can_ring
            )
            self.maps = MapChoices(self, self.layer)
            self.trace = GeneTrace(self)
            self.add(QWidget(), stretch=1)
        self.layer.changed.connect(self._on_layer)
        self.row.changed.connect(self._on_row)
        self.rings.changed.connect(self._on_rings)
        for act in (self._show_value, self.refresh):
            self.hear(self.state.events.gene, act)
        self.hear_clicks(self._on_click)
        self._on_layer()
        self.finish(stretch=False)

    def refresh(self, *_: object) -> None:
        """Ask every rule again, follow the maps that are there and the gene shown."""
        super().refresh()
        self.maps.refresh()
        self.trace.refresh()

    def start(self) -> None:
        """Trace the gene shown to the image."""
        self.trace.start()

    def explain(self, layer: Layer, row: int) -> None:
        """Show what lies behind one spot of a layer."""
        self.layer.value = layer
        with self.row.changed.blocked():
            self.row.value = row
        self.trace.on_spot(layer, row)
        at_hand = {one.name: one for one in measured_in(self.viewer)}
        quietly(self, partial(behind, known_section(layer), row, at_hand), partial(self._show, layer, row))

    def _on_click(self, place: Wide) -> None:
        """Explain the uppermost spot at a place that can be explained."""
        for layer in reversed(list(self.viewer.layers)):
            spots = spots_of(self.viewer, layer)
            if layer.visible and spots is not None and _has_evidence(spots):
                row = spot_at(layer, place)
                if row is not None:
                    self.explain(spots, row)
                    return

    def _can_ring(self) -> bool:
        section = section_of(self.layer.value)
        known = section is not None and "unlike_training" in section.table.obs
        return known and not is_raster(self.layer.value)

    def _on_layer(self, *_: object) -> None:
        layer, section = self.layer.value, section_of(self.layer.value)
        if layer is self._chosen and layer is not None:
            return
        self._chosen = layer
        with self.row.changed.blocked():
            self.row.max = 0 if section is None else max(0, section.table.n_obs - 1)
        self.maps.refresh()
        self.trace.set_layer(layer)
        self._clear()

    def _on_row(self, row: int) -> None:
        if self.layer.value is not None:
            self.explain(self.layer.value, row)

    def _on_rings(self, on: bool) -> None:
        section = section_of(self.layer.value)
        if section is not None and self._can_ring():
            unlike = section.table.obs["unlike_training"].to_numpy(dtype=bool)
            rim(self.layer.value, np.flatnonzero(unlike & on))

    def _show(self, layer: Layer, row: int, found: Behind) -> None:
        if layer not in self.viewer.layers:
            self._clear()
            return
        self.shown = found
        self._clear_grid()
        self.title.setText(f"<b>{found.name}</b> of {layer.name}")
        show_picture(self.own, found.crop, "The tissue at this spot, 150 µm wide")
        self.novelty.setText("")
        if found.novelty is not None:
            unlike = found.novelty > 1
            self.novelty.setStyleSheet(_UNLIKE if unlike else _LIKE)
            words = "unlike the training tissue: take it with care" if unlike else "like the training tissue"
            self.novelty.setText(
                f"This tissue is {words} (distance {found.novelty:.2f}; 1 is the usual limit)."
            )
        for place, reference in enumerate(found.references):
            where = f"{reference.section} {reference.spot}"
            picture = QLabel()
            spot = reference.spot if len(reference.spot) <= 8 else f"{reference.spot[:7]}…"
            told = QLabel(f"{reference.share:.1%}\n{reference.section}\n{spot}")
            show_picture(picture, reference.crop, f"Reference spot {where}, weight {reference.share:.1%}")
            told.setToolTip(where)
            self._grid.addWidget(picture, 2 * (place // _COLUMNS), place % _COLUMNS)
            self._grid.addWidget(told, 2 * (place // _COLUMNS) + 1, place % _COLUMNS)
        if found.others:
            self._grid.addWidget(
                QLabel(f"{found.others:.0%} others"), 2 * (len(found.references) // _COLUMNS + 1), 0
            )
        self._show_value()

    def _show_value(self, *_: object) -> None:
        layer, gene, section = self.layer.value, self.state.gene, section_of(self.layer.value)
        values = None if layer is None or not gene or self.shown is None else values_on(layer, gene)
        if values is None or section is None:
            self.value.setText("")
            return
        row = self.row.value
        ends = interval_of(section, row, gene)
        words = "no interval is known" if ends is None else f"90 % interval {ends[0]:.2f} to {ends[1]:.2f}"
        self.value.setText(f"{gene}: {values[row]:.2f} {UNITS}; {words}.")

    def _clear(self) -> None:
        self.shown = None
        self._clear_grid()
        self.title.setText(_NOTHING if self.layer.value is None else _HINT)
        for words in (self.novelty, self.value, self.own):
            words.setText("")
            words.setStyleSheet("")

    def _clear_grid(self) -> None:
        while self._grid.count():
            item = self._grid.takeAt(0)
            widget = None if item is None else item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()


@dataclass(frozen=True, eq=False)
class Reference:
    """One reference spot: where it comes from, its share in the prediction, its crop where there is one."""

    section: str
    spot: str
    share: float
    crop: Pixels | None


@dataclass(frozen=True, eq=False)
class Behind:
    """All that is known of one predicted spot."""

    name: str
    """The spot's."""
    crop: Pixels | None
    """The tissue itself, where its slide is at hand."""
    references: tuple[Reference, ...]
    """Those that weigh most, weightiest first."""
    others: float
    """The share of all other reference spots."""
    novelty: float | None
    """Distance from the training tissue; above 1 is further than 99 % of the training tissue."""


def _has_evidence(layer: Layer) -> bool:
    """Whether a layer's table says on which reference spots it rests."""
    section = section_of(layer)
    return section is not None and "evidence" in section.table.obsm


def behind(section: Section, row: int, at_hand: Mapping[str, Section]) -> Behind:
    """Collect what lies behind a predicted spot; reads a few crops, so run it off the GUI thread.

    Crops that the table does not hold are cut from the slides of measured sections `at_hand`, by name. Raises
    `ModelError` if the table holds no evidence, or a damaged crop.
    """
    found = evidence_of(section.table, row)
    references = [
        Reference(name, spot, share, _reference_crop(at_hand.get(name), spot) if kept is None else kept)
        for name, spot, share, kept in found[:MOST]
    ]
    obs = section.table.obs
    return Behind(
        name=str(obs.index[row]),
        crop=spot_crop(section, row),
        references=tuple(references),
        others=sum(share for _, _, share, _ in found[MOST:]),
        novelty=float(obs["novelty"].iloc[row]) if "novelty" in obs else None,
    )


def interval_of(section: Section, row: int, gene: str) -> tuple[float, float] | None:
    """The prediction interval of a gene at a spot; None where the table has none."""
    layers = section.table.layers
    if gene not in section.table.var_names or not {"low", "high"} <= set(layers):
        return None
    column = section.table.var_names.get_loc(gene)
    low, high = (float(layers[end][row, column]) for end in ("low", "high"))
    return low, high


def spot_crop(section: Section, row: int) -> Pixels | None:
    """The tissue around a spot, 150 µm wide; None without slide, or where it cannot be read."""
    if section.slide is None:
        return None
    side = _CROP_UM / section.mpp
    top, left = section.centres[row] - side / 2
    whole = Window(round(float(top)), round(float(left)), round(side), round(side))
    try:
        return section.scaled_slide.read(whole, _CROP_UM / _PIXELS)
    except SlideError:
        return None


def _reference_crop(section: Section | None, spot: str) -> Pixels | None:
    if section is None or spot not in section.table.obs_names:
        return None
    return spot_crop(section, int(section.table.obs_names.get_loc(spot)))
