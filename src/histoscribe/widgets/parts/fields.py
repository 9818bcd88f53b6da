"""What the panels' forms are made of: magicgui widgets for layers, regions, models, tables, numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, Container, FileEdit, FloatSpinBox, PushButton
from magicgui.widgets.bases import ValuedContainerWidget, Widget
from napari.layers import Layer, Shapes
from qtpy.QtWidgets import QComboBox, QSizePolicy

from histoscribe.errors import HistoscribeError
from histoscribe.palette import DRAWN
from histoscribe.record import record_of
from histoscribe.widgets.layers.layers import UM, section_of
from histoscribe.widgets.layers.painting import spot_layers
from histoscribe.widgets.layers.regions import classes_in, drawn_regions
from histoscribe.widgets.parts.dialogs import path_to_read, telling
from histoscribe.widgets.state.preferences import recent_models

if TYPE_CHECKING:
    import numpy as np
    from napari.components import ViewerModel
    from numpy.typing import NDArray

    from histoscribe.bulk import BulkTable
    from histoscribe.models import Card
    from histoscribe.section import Section

Offer = Callable[[], Iterable[tuple[str, Any]]]
"""Gives what can be chosen now: words that are shown, each once, and the value behind them."""

TABLES = "Tables (*.csv *.tsv *.txt *.gct *.h5ad *.gz)"
_ELSEWHERE = "Another folder"
_KIND, _HEAD = re.compile(rb'"kind":\s*"(\w+)"'), 4096


class ChoiceField(ComboBox):
    """One of what is offered now, in that order; what is chosen stays chosen while it is offered.

    Parameters
    ----------
    name : str
        Of the field, as sessions keep it.
    offer : callable
        Asked at every `reset_choices`; values are not tuples.
    label, tooltip : str
    first : Any, optional
        Chosen at the beginning where it is offered; else the first one is.
    """

    def __init__(
        self, name: str, offer: Offer, *, label: str = "", tooltip: str = "", first: Any = None
    ) -> None:
        self._offer, self._first = offer, first
        super().__init__(
            name=name, choices=lambda _: list(offer()), label=label or None, tooltip=tooltip or None
        )
        self.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.native.setMinimumWidth(72)

    @property
    def values(self) -> list[Any]:
        """What can be chosen."""
        return list(self.choices)

    def reset_choices(self, *_: Any) -> None:
        """Offer what there is now; `changed` is emitted where the choice had to change."""
        combo: QComboBox = self.native
        last = self.value
        offered = list(self._offer())
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


class LayerField(ChoiceField):
    """One of the layers that `wanted` accepts, uppermost first; None where there is none."""

    def __init__(
        self, name: str, viewer: ViewerModel, wanted: Callable[[Layer], bool], *, label: str, tooltip: str
    ) -> None:
        def offer() -> list[tuple[str, Layer]]:
            return [(layer.name, layer) for layer in reversed(list(viewer.layers)) if wanted(layer)]

        super().__init__(name, offer, label=label, tooltip=tooltip)


def words_field(
    name: str, words: Iterable[str], *, label: str = "", tooltip: str = "", first: str | None = None
) -> ChoiceField:
    """A choice among words that are their own values."""
    offered = [(one, one) for one in words]
    return ChoiceField(name, lambda: offered, label=label, tooltip=tooltip, first=first)


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


class RegionField(FieldRow):
    """A layer of drawn shapes and, where they have classes, the one to keep to; or a new layer to draw in.

    Its fields are called `name` and `name_class`.
    """

    def __init__(self, name: str, viewer: ViewerModel, *, label: str = "Region") -> None:
        self._viewer = viewer
        self.layer = LayerField(
            name,
            viewer,
            lambda layer: isinstance(layer, Shapes),
            label=label,
            tooltip="The layer drawn in",
        )
        self.only = ChoiceField(f"{name}_class", self._classes, tooltip="Only regions of this class")
        self.draw = PushButton(text="Draw", tooltip="Draw a polygon in a new layer; a double click ends it")
        super().__init__(label, self.layer, self.only, self.draw)
        self.draw.changed.connect(self.add)
        self.layer.changed.connect(self.reset_choices)
        self.reset_choices()

    def reset_choices(self, *_: Any) -> None:
        """Offer the layers and classes of now."""
        self.layer.reset_choices()
        self.only.reset_choices()
        self.only.visible = len(self.only.values) > 1

    def outlines(self, mpp: float) -> list[NDArray[np.float64]] | None:
        """What is drawn, in full-resolution pixels of `mpp` µm; None without a layer.

        Raises
        ------
        RegionError
            If nothing closed is drawn.
        """
        shapes = self.layer.value
        return None if shapes is None else drawn_regions(shapes, mpp, self.only.value or None)

    def add(self, *_: Any) -> Shapes:
        """Add an empty layer of shapes in µm and start drawing."""
        layer = add_drawing_layer(self._viewer)
        self.reset_choices()
        self.layer.value = layer
        return layer

    def _classes(self) -> list[tuple[str, str]]:
        shapes = self.layer.value
        names = sorted(set(classes_in(shapes)) - {""}) if shapes is not None else []
        return [("every class", ""), *((name, name) for name in names)]


def add_drawing_layer(viewer: ViewerModel) -> Shapes:
    """Add an empty layer of shapes in µm, ready for a polygon."""
    layer = Shapes(ndim=2, name="region", units=(UM, UM), face_color="transparent")
    layer.current_edge_color, layer.current_edge_width = DRAWN, 8
    viewer.add_layer(layer)
    layer.mode = "add_polygon"
    return layer


class ModelField(ValuedContainerWidget[Any]):
    """A model: one that comes with the package, one used before, or any folder.

    Parameters
    ----------
    name : str
    kind : str
        `predictor`, `imputer` or `generator`.
    more : callable, optional
        What else is offered, behind the models.
    """

    def __init__(self, name: str, kind: str, *, more: Offer | None = None, label: str = "Model") -> None:
        self.kind, self._more = kind, more
        used = next((path for path in recent_models() if _kind_of(path) == kind), None)
        meaning = "A trained model: bundled, used before, or in another folder"
        self.known = ChoiceField("known", self._offer, tooltip=meaning, first=used)
        self.elsewhere = FileEdit(
            mode=FileDialogMode.EXISTING_DIRECTORY,
            name="elsewhere",
            tooltip="Where card.json of the model lies",
        )
        self.elsewhere.choose_btn.text = "…"
        self.elsewhere.choose_btn.native.setFixedWidth(28)
        self.elsewhere.choose_btn.tooltip = "Choose the folder of a trained model"
        self.elsewhere.line_edit.native.setPlaceholderText("folder with card.json")
        super().__init__(
            widgets=[self.known, self.elsewhere], labels=False, label=label, name=name, tooltip=meaning
        )
        self.margins = (0, 0, 0, 0)
        self.known.changed.connect(self._on_change)
        self.elsewhere.changed.connect(self._on_change)
        self._on_change()

    def get_value(self) -> Any:
        """A model's folder, or what else was offered."""
        known = self.known.value
        if known != _ELSEWHERE:
            return known
        return Path(self.elsewhere.line_edit.value.strip()).expanduser()

    def set_value(self, value: Any) -> None:
        """Choose a folder, or what else is offered; one that is not known is another folder."""
        known = self.known.get_choice(value) if isinstance(value, str) else value
        chosen = Path(value) if isinstance(value, str) and known is None else known
        if chosen in self.known.values:
            self.known.value = chosen
        elif isinstance(chosen, Path):
            self.elsewhere.line_edit.value = "" if chosen == Path() else str(chosen)
            self.known.value = _ELSEWHERE
        else:
            raise ValueError(f"{value!r} is not offered")

    @property
    def folder(self) -> Path | None:
        """The chosen model's folder; None where something else is chosen."""
        return self.value if isinstance(self.value, Path) else None

    @folder.setter
    def folder(self, path: Path) -> None:
        self.value = path

    @property
    def card(self) -> Card | None:
        """The card of the chosen model; None where it is none of this kind."""
        card = None if self.folder is None else _card_of(self.folder)
        return card if card is not None and card.kind == self.kind else None

    def _offer(self) -> list[tuple[str, Any]]:
        from histoscribe.models import bundled, bundled_names

        ready = {bundled(name): name for name in bundled_names()}
        models = [path for path in dict.fromkeys([*ready, *recent_models()]) if _kind_of(path) == self.kind]
        offered: list[tuple[str, Any]] = [(ready.get(path, str(path)), path) for path in models]
        return [*offered, *(self._more() if self._more else ()), (_ELSEWHERE, _ELSEWHERE)]

    def _on_change(self, *_: Any) -> None:
        self.elsewhere.visible = self.known.value == _ELSEWHERE
        self.changed.emit(self.value)


class SourceField(FieldRow):
    """A layer of spots, or a table of samples that is opened here; the field's value is that."""

    def __init__(self, name: str, viewer: ViewerModel, *, label: str, tooltip: str) -> None:
        self._viewer = viewer
        self._tables: list[BulkTable] = []
        self.choice = ChoiceField(name, self.offer, label=label, tooltip=tooltip)
        self.open_button = PushButton(
            text="Open table…", tooltip="Samples by genes: CSV, TSV, GCT or h5ad, plain or gzipped"
        )
        super().__init__(label, self.choice, self.open_button)
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
        """The layers of now, uppermost first, without restored ones; then the tables."""
        layers = [layer for layer in reversed(spot_layers(self._viewer)) if not _is_restored(layer)]
        tables = [(f"{one.name} ({one.table.n_obs:,} samples)", one) for one in self._tables]
        return [*((layer.name, layer) for layer in layers), *tables]

    def open(self, path: Path | None = None) -> None:
        """Open a table and choose it; asks for a file where none is given."""
        from histoscribe.bulk import read_table
        from histoscribe.bulk.samples import file_beside, with_samples

        path = path or path_to_read(self.native, "A table of samples and genes", TABLES)
        if path is None:
            return
        with telling():
            table = with_samples(read_table(path), file_beside(path))
            self._tables.append(table)
            self.reset_choices()
            self.choice.value = table


def source_of(chosen: Any) -> Any:
    """The section of a layer; a table as it is."""
    return section_of(chosen) if isinstance(chosen, Layer) else chosen


def is_section(source: Section | BulkTable | None) -> TypeGuard[Section]:
    """Whether a source has spots on a tissue, and is no table of samples."""
    return hasattr(source, "slide")


def _is_restored(layer: Layer) -> bool:
    section = section_of(layer)
    return section is not None and record_of(section.table).kind == "restored"


def _card_of(folder: Path) -> Card | None:
    try:
        return _read_card(folder, (folder / "card.json").stat().st_mtime_ns)
    except (OSError, HistoscribeError):
        return None


def _kind_of(folder: Path) -> str:
    """The kind that a card states in its first lines; a card of thousands of genes is not read for that."""
    try:
        with (folder / "card.json").open("rb") as file:
            found = _KIND.search(file.read(_HEAD))
    except OSError:
        return ""
    return found[1].decode() if found else ""


@lru_cache(maxsize=32)
def _read_card(folder: Path, changed: int) -> Card:
    from histoscribe.models import read_card

    return read_card(folder)
