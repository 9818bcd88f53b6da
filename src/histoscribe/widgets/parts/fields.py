"""What the panels' forms are made of: magicgui widgets for layers, regions, tables, numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeGuard
from weakref import ref

from magicgui.widgets import CheckBox, ComboBox, Container, FloatSpinBox, PushButton
from magicgui.widgets.bases import Widget
from napari.components import ViewerModel
from napari.layers import Layer, Shapes
from pandas import DataFrame
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QSizePolicy, QStyle, QStyleOptionComboBox, QStylePainter

from histoscribe.arrays import Wide
from histoscribe.bulk import BulkTable, read_table
from histoscribe.bulk.samples import file_beside, with_samples
from histoscribe.palette import DRAWN
from histoscribe.record import record_of
from histoscribe.section import Section
from histoscribe.widgets.layers.layers import UM, kind_of, known_section, section_of
from histoscribe.widgets.layers.making import OPENED
from histoscribe.widgets.layers.painting import spot_layers
from histoscribe.widgets.layers.regions import classes_in, drawn_regions, is_region_layer
from histoscribe.widgets.parts.dialogs import path_to_read, telling

Offer = Callable[[], Iterable[tuple[str, Any] | str]]
"""Gives what can be chosen now: words that are shown, each once, with the value behind them if another."""

_PLACES = ("array_row", "array_col")
TABLES = "Tables (*.csv *.tsv *.txt *.gct *.h5ad *.gz)"


class ChoiceField(ComboBox):
    """One of what is offered now, in that order; what is chosen stays chosen while it is offered.

    `offer` is asked at every `reset_choices`, its values are no tuples; `first` is chosen at the beginning
    where it is offered, else the first one. Sessions keep `name`.
    """

    def __init__(
        self, name: str, offer: Offer, label: str = "", tooltip: str = "", *, first: Any = None
    ) -> None:
        self._offer, self._first = offer, first
        super().__init__(
            name=name, choices=lambda _: self._pairs(), label=label or None, tooltip=tooltip or None
        )
        self.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.native.setMinimumWidth(72)
        combo = ref(self.native)  # one that held itself would outlive its window
        self.native.paintEvent = lambda _: _paint_elided(combo())

    @property
    def values(self) -> list[Any]:
        """What can be chosen."""
        return list(self.choices)

    def reset_choices(self, *_: Any) -> None:
        """Offer what there is now; `changed` is emitted where the choice had to change."""
        combo: QComboBox = self.native
        last = self.value
        offered = self._pairs()
        there = [(combo.itemText(place), combo.itemData(place)) for place in range(combo.count())]
        if offered == there:
            return
        before = last if there else self._first
        combo.blockSignals(True)
        combo.clear()
        for words, value in offered:
            combo.addItem(words, value)
        values = [value for _, value in offered]
        combo.setCurrentIndex(values.index(before) if before in values else min(0, len(values) - 1))
        combo.blockSignals(False)
        if self.value is not last and self.value != last:
            self.changed.emit(self.value)

    def _pairs(self) -> list[tuple[str, Any]]:
        # of NumPy's texts PyQt6 keeps the type, which scripts and sessions could not read
        return [(str(one), str(one)) if isinstance(one, str) else one for one in self._offer()]


def _paint_elided(combo: Any) -> None:
    """Paint a closed combo box as Qt does, but end words that are cut in an ellipsis."""
    painter, how = QStylePainter(combo), QStyleOptionComboBox()
    combo.initStyleOption(how)
    kind, part = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
    room = combo.style().subControlRect(kind, how, part, combo).width() - 4
    how.currentText = combo.fontMetrics().elidedText(how.currentText, Qt.TextElideMode.ElideRight, room)
    painter.drawComplexControl(kind, how)
    painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, how)
    painter.end()


class LayerField(ChoiceField):
    """One of the layers that `wanted` accepts, measured and uppermost ones first; None where none is."""

    def __init__(
        self, name: str, viewer: ViewerModel, wanted: Callable[[Layer], bool], label: str, tooltip: str
    ) -> None:
        def offer() -> list[tuple[str, Layer]]:
            layers = [layer for layer in reversed(list(viewer.layers)) if wanted(layer)]
            return [(layer.name, layer) for layer in sorted(layers, key=_is_predicted)]

        super().__init__(name, offer, label=label, tooltip=tooltip)


def words_field(
    name: str, words: Iterable[str], label: str = "", tooltip: str = "", *, first: str | None = None
) -> ChoiceField:
    """A choice among words that are their own values."""
    return ChoiceField(name, lambda: words, label, tooltip, first=first)


def tick_field(name: str, text: str, tooltip: str, *, value: bool = False) -> CheckBox:
    """A box to tick, with words beside it."""
    return CheckBox(name=name, text=text, tooltip=tooltip, value=value)


def number_field(
    name: str,
    value: float,
    low: float,
    high: float,
    unit: str = "",
    *,
    label: str,
    tooltip: str,
    decimals: int = 1,
) -> FloatSpinBox:
    """A field for one number from `low` to `high`, with its unit behind it."""
    box = FloatSpinBox(name=name, min=low, max=high, label=label, tooltip=tooltip)
    box.native.setDecimals(decimals)
    box.native.setSuffix(f" {unit}" if unit else "")
    box.value = value
    return box


class FieldRow(Container[Widget]):
    """Fields and buttons beside each other, behind one label."""

    def __init__(self, label: str, *widgets: Widget) -> None:
        super().__init__(widgets=widgets, layout="horizontal", labels=False, label=label)
        self.margins = (0, 0, 0, 0)
        self.native.layout().setSpacing(2)


class RegionField(FieldRow):
    """A layer of drawn shapes (field `name`), and the class of them to keep to (field `name_class`)."""

    def __init__(self, name: str, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self.layer = LayerField(
            name, viewer, lambda one: isinstance(one, Shapes) or is_region_layer(one), "", "Layer drawn in"
        )
        self.only = ChoiceField(f"{name}_class", self._classes, tooltip="Only regions of this class")
        self.draw = PushButton(text="Draw", tooltip="Draw a polygon in a new layer; a double click ends it")
        super().__init__("Region", self.layer, self.only, self.draw)
        self._heard: Layer | None = None
        self.draw.changed.connect(self.add)
        self.layer.changed.connect(self.reset_choices)
        self.reset_choices()

    def reset_choices(self, *_: Any) -> None:
        """Offer the layers and classes of now."""
        self.layer.reset_choices()
        self.only.reset_choices()
        self.only.visible = len(self.only.values) > 1
        if self.layer.value is not self._heard:
            if self._heard is not None:
                self._heard.events.data.disconnect(self._on_shapes)
            self._heard = self.layer.value
            if self._heard is not None:
                self._heard.events.data.connect(self._on_shapes)

    def outlines(self, beneath: Layer) -> list[Wide] | None:
        """What is drawn, as `drawn_regions` gives it; None without shapes."""
        shapes = self.layer.value
        return None if shapes is None else drawn_regions(shapes, beneath, self.only.value or None)

    def add(self, *_: Any) -> Shapes:
        """Add an empty layer of shapes in µm and start drawing."""
        layer = add_drawing_layer(self._viewer)
        self.reset_choices()
        self.layer.value = layer
        return layer

    def _on_shapes(self, event: object) -> None:
        """A shape was added, moved or removed (not while it is being drawn)."""
        if str(getattr(event, "action", "")) in ("added", "changed", "removed"):
            self.changed.emit(self)

    def _classes(self) -> list[tuple[str, str] | str]:
        shapes = self.layer.value
        names = sorted(set(classes_in(shapes)) - {""}) if shapes is not None else []
        return [("every class", ""), *names]


def add_drawing_layer(viewer: ViewerModel) -> Shapes:
    """Add an empty layer of shapes in µm, ready for a polygon."""
    layer = Shapes(ndim=2, name="region", units=(UM, UM), face_color="transparent")
    layer.current_edge_color, layer.current_edge_width = DRAWN, 8
    viewer.add_layer(layer)
    layer.mode = "add_polygon"
    return layer


class SourceField(FieldRow):
    """A layer of spots, or a table of samples that is opened here; the field's value is that."""

    def __init__(self, name: str, viewer: ViewerModel, label: str, tooltip: str) -> None:
        self._viewer = viewer
        self._tables: list[BulkTable] = []
        self.choice = ChoiceField(name, self.offer, label, tooltip)
        self.open_button = PushButton(
            text="Open…", tooltip="A table of samples by genes: CSV, TSV, GCT or h5ad, plain or gzipped"
        )
        super().__init__(label, self.choice, self.open_button)
        self.open_button.native.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.open_button.changed.connect(lambda: self.open())

    @property
    def source(self) -> Section | BulkTable | None:
        """The section of the chosen layer, or the chosen table."""
        found: Section | BulkTable | None = source_of(self.choice.value)
        return found

    def has(self, source: object) -> bool:
        """Whether a section or table is still offered."""
        return any(source_of(one) is source for one in self.choice.values)

    def offer(self) -> list[tuple[str, Any]]:
        """The layers of now without restored ones, measured ones first, uppermost first; then the tables."""
        kinds = {layer: record_of(known_section(layer).table).kind for layer in spot_layers(self._viewer)}
        layers = [layer for layer in reversed(kinds) if kinds[layer] != "restored"]
        layers.sort(key=_is_predicted)
        tables = [(f"{one.name} ({one.table.n_obs:,} samples)", one) for one in self._tables]
        return [*((layer.name, layer) for layer in layers), *tables]

    def open(self, path: Path | None = None) -> None:
        """Open a table and choose it; asks for a file where none is given."""
        path = path or path_to_read(self.native, "A table of samples and genes", TABLES)
        if path is None:
            return
        with telling():
            table = with_samples(read_table(path), file_beside(path))
            OPENED[table] = path.resolve()
            self._tables.append(table)
            self.reset_choices()
            self.choice.value = table


def source_of(chosen: Any) -> Any:
    """The section of a layer; a table as it is."""
    return section_of(chosen) if isinstance(chosen, Layer) else chosen


def class_columns(obs: DataFrame, most: int) -> list[str]:
    """Columns of 2 to so many different values, what spots or samples are grouped by: words first."""
    some = [str(one) for one in obs if one not in _PLACES and 2 <= obs[one].nunique() <= most]
    return sorted(some, key=lambda name: obs[name].dtype.kind in "iuf")


def is_section(source: Any) -> TypeGuard[Section]:
    """Whether a source has spots on a tissue, and is no table of samples."""
    return hasattr(source, "slide")


def _is_predicted(layer: Layer) -> bool:
    section = section_of(layer)
    return section is not None and kind_of(section) == "predicted"
