"""The Genes panel: choose genes as you type; every layer of spots that has them is painted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from magicgui.widgets import LineEdit
from qtpy.QtCore import QEvent, QModelIndex, QObject, Qt, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QDoubleSpinBox, QGridLayout, QHBoxLayout, QLabel, QListView, QToolButton, QWidget
from superqt import QDoubleRangeSlider
from superqt.utils import signals_blocked

from histoscribe.genes import other_names, symbol_of
from histoscribe.widgets.layers.arrangement import is_side_by_side, side_by_side
from histoscribe.widgets.layers.colours import BLEND, BLEND_NAMES, Limits
from histoscribe.widgets.layers.layers import kind_of
from histoscribe.widgets.layers.painting import held_out_scores, paint, sections_in, spot_layers
from histoscribe.widgets.layers.strips import strips_of
from histoscribe.widgets.layers.view_state import COLOUR_MAPS, ViewState
from histoscribe.widgets.panels.genes.order import NAME, ORDERS, RELIABILITY, gene_statistic
from histoscribe.widgets.parts.dialogs import telling
from histoscribe.widgets.parts.fields import ChoiceField, tick_field, words_field
from histoscribe.widgets.parts.gene_list import GENE_ROLE, GeneListModel, Reliability, gene_view
from histoscribe.widgets.parts.panel import Panel, beside, wrapped_words
from histoscribe.widgets.parts.plots import Bar
from histoscribe.widgets.parts.verdict import VerdictBanner

if TYPE_CHECKING:
    import napari
    from napari.layers import Points

    from histoscribe.section import Section

_BARS = "Number and bar: r between predicted and measured, on tissue held out of the model's training."
LAYOUT_WORDS = [("Blend colours on each spot", "blend"), ("One pane for each gene", "multiples")]
"""How several genes are shown: in words, and as the state calls it."""


class GeneChips(QWidget):
    """Chips that remove a gene when pressed."""

    def __init__(self, state: ViewState) -> None:
        super().__init__()
        self._state = state
        self.chips: list[QToolButton] = []
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)

    def refresh(self) -> None:
        """Show the genes of now."""
        for chip in self.chips:
            self._row.removeWidget(chip)
            chip.hide()
            chip.deleteLater()
        self.chips = [self._chip(place, gene) for place, gene in enumerate(self._state.genes)]

    def _chip(self, place: int, gene: str) -> QToolButton:
        chip = QToolButton()
        chip.setText(f"{symbol_of(gene)} ✕")
        meaning = f"Show {symbol_of(gene)} no longer"
        if self._state.layout == "blend":
            meaning += f"; it is drawn in {BLEND_NAMES[place]}"
            red, green, blue = (round(255 * share) for share in BLEND[place])
            chip.setStyleSheet(f"QToolButton {{ border-bottom: 3px solid rgb({red}, {green}, {blue}); }}")
        chip.setToolTip(meaning)
        chip.clicked.connect(partial(self._state.drop, gene))
        self._row.addWidget(chip)
        return chip


class PercentileHandles(QWidget):
    """Two percentiles, low and high, as handles on one track, and as numbers to type."""

    changed = Signal(float, float)

    def __init__(self) -> None:
        super().__init__()
        slider: Any = QDoubleRangeSlider
        self.slider = slider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.slider.setToolTip("Percentiles of the values that get the first and the last colour")
        self.low, self.high = (QDoubleSpinBox(decimals=1, maximum=100, suffix=" %") for _ in range(2))
        self.low.setToolTip("This percentile of the values gets the first colour")
        self.high.setToolTip("This percentile of the values gets the last colour")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.slider, 0, 0, 1, 3)
        layout.addWidget(self.low, 1, 0)
        layout.addWidget(QLabel("to"), 1, 1, Qt.AlignmentFlag.AlignCenter)
        layout.addWidget(self.high, 1, 2)
        self.slider.valueChanged.connect(lambda ends: self._set(*ends))
        self.low.valueChanged.connect(lambda low: self._set(low, max(low, self.high.value())))
        self.high.valueChanged.connect(lambda high: self._set(min(high, self.low.value()), high))

    def show_values(self, low: float, high: float) -> None:
        """Show two percentiles; emits nothing."""
        with signals_blocked(self.slider), signals_blocked(self.low), signals_blocked(self.high):
            self.slider.setValue((low, high))
            self.low.setValue(low)
            self.high.setValue(high)

    def _set(self, low: float, high: float) -> None:
        self.show_values(low, high)
        self.changed.emit(float(low), float(high))


class LimitFields(QWidget):
    """The values of the shown gene with the first and last colour, to be typed; Auto (None) lets them go."""

    changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.low, self.high = (QDoubleSpinBox(decimals=2, minimum=-99, maximum=99) for _ in range(2))
        self.low.setToolTip("This value gets the first colour; log1p of counts per 10,000, kept for it")
        self.high.setToolTip("This value gets the last colour; log1p of counts per 10,000, kept for it")
        self.auto = QToolButton()
        self.auto.setText("Auto")
        self.auto.setToolTip("Take the limits of this gene from the percentiles again")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.low, QLabel("to"), self.high, self.auto):
            layout.addWidget(part, int(isinstance(part, QDoubleSpinBox)))
        self.low.valueChanged.connect(self._typed)
        self.high.valueChanged.connect(self._typed)
        self.auto.clicked.connect(lambda: self.changed.emit(None))

    def show_limits(self, limits: Limits, kept: bool) -> None:
        """Show limits, and whether they were typed; emits nothing."""
        for box, value in zip((self.low, self.high), limits, strict=True):
            if not box.hasFocus() or not kept:
                with signals_blocked(box):
                    box.setValue(value)
        self.auto.setEnabled(kept)

    def _typed(self, *_: object) -> None:
        if self.low.value() < self.high.value():
            self.changed.emit((self.low.value(), self.high.value()))


class GenesPanel(Panel):
    """Chooses the genes, their colours and their limits for one viewer."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self._known: list[Points] | None = None
        self._panes: tuple[str, ...] = ()
        self._sections: list[Section] = []
        self._names: list[str] = []
        self._scores: dict[str, Reliability] = {}
        self._others: dict[str, tuple[str, ...]] = {}
        self.query = self.add(LineEdit(name="search", label="Search"))
        self.search = self.query.native
        self.search.setPlaceholderText("Symbol, other name or Ensembl id")
        self.search.setToolTip("Enter shows the first gene found, Shift+Enter shows it beside the others")
        self.search.setClearButtonEnabled(True)
        meaning = "What the list begins with, on the uppermost measured section, else the uppermost one"
        self.order = self.add(ChoiceField("order", lambda: ORDERS, "Sort by", meaning))
        self.genes = GeneListModel()
        self.list = self.add(gene_view(self.genes, ""), stretch=1)
        self.bars = self.add(wrapped_words(_BARS), visible=lambda: bool(self._scores))
        meaning = "Show the marked gene beside the others, up to three at once (+)"
        self.add_button = self.button("Show beside", meaning, self._add_marked)
        meaning = "Keep the marked gene at the top of the list, or let it go again (P)"
        self.pin_button = self.button("★ Pin", meaning, self._pin_marked)
        self.add(beside(self.add_button, self.pin_button))
        self.chips = self.add(GeneChips(self.state), visible=self._are_several)
        self.layout_choice = self.add(
            ChoiceField(
                "layout", lambda: LAYOUT_WORDS, label="Show", tooltip="How several genes are shown at once"
            ),
            visible=self._are_several,
        )
        self.verdict = self.add(VerdictBanner(self.viewer, self.state, lambda: sections_in(self.viewer)))
        self.scale = self.add(Bar(), visible=lambda: bool(self.state.genes))
        self.legend = self.add(wrapped_words(), visible=lambda: bool(self.legend.text()))
        self.percentiles = self.add(PercentileHandles())
        self.limits = self.add(LimitFields(), visible=lambda: bool(self.state.genes))
        meaning = "All of these can be read without colour vision"
        self.colour_map = self.add(words_field("colour_map", COLOUR_MAPS, "Colours", meaning))
        meaning = "One colour means one value on every layer; off: each layer has its own limits"
        self.shared = self.add(tick_field("shared", "Same limits on all layers", meaning))
        meaning = "One pane for each layer of spots, moved and zoomed together"
        self.beside = self.add(tick_field("beside", "Side by side", meaning))
        self.add(self.tasks)
        self._show_state()
        self._connect()
        self.finish(stretch=False)

    def reset_choices(self, event: object = None) -> None:
        """Offer the genes of the layers of now; napari calls it when the layer list changes."""
        super().reset_choices(event)
        self._show_beside()
        layers = spot_layers(self.viewer)
        if layers == self._known:
            return
        self._known = layers
        self._sections = sections_in(self.viewer)
        self._names, self._scores = _genes_and_scores(self._sections)
        self._others = other_names(section.table.var for section in self._sections)
        self._sort()
        self.verdict.refresh()
        self.repaint_spots()

    def repaint_spots(self) -> None:
        """Paint the chosen genes with the settings of now."""
        self._show_beside()
        genes = self.state.genes
        words = "" if genes else f"{len(self._names):,} genes" if self._known else "Open a section first."
        with telling():
            if genes:
                limits = paint(self.viewer, self.state)
                self.scale.show_scales(strips_of(self.viewer, self.state, limits))
                lacking = [gene for gene in genes if not any(gene in shown for shown in limits.values())]
                words = f"No layer has {' or '.join(lacking)}." if lacking else ""
                shown = [one[genes[0]] for one in limits.values() if genes[0] in one]
                self.limits.show_limits(shown[0] if shown else (0.0, 1.0), genes[0] in self.state.fixed)
        self._say(words)

    def _say(self, words: str = "") -> None:
        if self._known and self.search.text() and not self.genes.shown:
            words = f"No match: none of the {len(self._names):,} genes here has such a name."
        self.legend.setText(words)
        self.refresh()

    def _sort(self, *_: object) -> None:
        """List the genes as chosen; what takes long is computed off this thread."""
        section = next((one for one in reversed(self._sections) if kind_of(one) == "measured"), None)
        section = section or next(reversed(self._sections), None)
        if section is None or self.order.value == NAME:
            self._list_by({})
        elif self.order.value == RELIABILITY:
            self._list_by({gene: score.r for gene, score in self._scores.items()})
        else:
            asked = (section, self.order.value)
            self._list_by({})
            self.launch(lambda: asked, gene_statistic, lambda _, found: self._list_by(found))

    def _list_by(self, values: Mapping[str, float]) -> None:
        """List the genes, those of the largest values first."""
        names = sorted(self._names, key=lambda gene: -values.get(gene, -math.inf))
        self.genes.set_genes(names, self._scores, self._others, _restored_genes(self._sections))
        self._mark_gene()

    def _connect(self) -> None:
        self.search.textChanged.connect(self._on_search)
        self.list.selectionModel().currentChanged.connect(self._on_row)
        for field in (self.colour_map, self.shared, self.layout_choice):  # called as the state calls it
            field.changed.connect(partial(setattr, self.state, field.name))
        self.order.changed.connect(self._sort)
        self.limits.changed.connect(self._on_limits)
        self.percentiles.changed.connect(self._on_percentiles)
        self.beside.changed.connect(self._on_beside)
        self.state.events.connect(self._on_state)
        self.search.installEventFilter(self)
        self.list.installEventFilter(self)

    def _are_several(self) -> bool:
        return len(self.state.genes) > 1

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keys: Enter, Shift+Enter and Down while searching; + and P in the list."""
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
            return False
        keys: dict[Qt.Key, Callable[[], object]]
        if watched is self.search:
            beside = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            show = self.state.add if beside else self.state.choose
            keys = dict.fromkeys((Qt.Key.Key_Return, Qt.Key.Key_Enter), lambda: self._first(show))
            keys[Qt.Key.Key_Down] = lambda: self.list.setFocus()
        else:
            keys = {Qt.Key.Key_Plus: self._add_marked, Qt.Key.Key_P: self._pin_marked}
        action = next((do for key, do in keys.items() if key.value == event.key()), None)
        if action is not None:
            action()
        return action is not None

    def _on_search(self, text: str) -> None:
        with signals_blocked(self.list.selectionModel()):
            self.genes.search(text)
        if not self.genes.shown or self.legend.text().startswith("No match"):
            self._say()

    def _first(self, show: Callable[[str], None]) -> None:
        if self.genes.shown:
            show(self.genes.shown[0])

    def _marked(self) -> str:
        return self.list.currentIndex().data(GENE_ROLE) or (self.genes.shown or [""])[0]

    def _add_marked(self) -> None:
        """Show the first gene found beside the others while searching, else the marked one."""
        found = self.genes.shown
        gene = found[0] if self.search.text() and found else self._marked()
        if gene:
            self.state.add(gene)

    def _pin_marked(self) -> None:
        if self._marked():
            self.state.pin(self._marked())

    def _on_row(self, current: QModelIndex, _previous: QModelIndex) -> None:
        gene = current.data(GENE_ROLE)
        if gene and gene != self.state.gene:
            self.state.choose(gene)

    def _on_percentiles(self, low: float, high: float) -> None:
        self.state.low, self.state.high = low, high

    def _on_limits(self, limits: Limits | None) -> None:
        others = {gene: one for gene, one in self.state.fixed.items() if gene != self.state.gene}
        self.state.fixed = others if limits is None else others | {self.state.gene: limits}

    def _on_beside(self, on: bool) -> None:
        side_by_side(self.viewer, on, self._panes if on else ())
        self.repaint_spots()

    def _on_state(self, *_: object) -> None:
        panes = self.state.genes[1:] if self.state.layout == "multiples" else ()
        if panes != self._panes:
            turned_on = bool(panes) or (is_side_by_side(self.viewer) and len(self._known or ()) > 1)
            self._panes = panes
            side_by_side(self.viewer, turned_on, panes)
        self._show_state()
        self._mark_gene()
        self.repaint_spots()

    def _show_beside(self) -> None:
        with self.beside.changed.blocked():
            self.beside.value = is_side_by_side(self.viewer)

    def _show_state(self) -> None:
        for field in (self.colour_map, self.shared, self.layout_choice):
            with field.changed.blocked():
                field.value = getattr(self.state, field.name)
        self.percentiles.show_values(self.state.low, self.state.high)
        self.chips.refresh()
        self.genes.set_pinned(self.state.pinned)

    def _mark_gene(self) -> None:
        row = self.genes.row_of(self.state.gene)
        if row.isValid() and row != self.list.currentIndex():
            self.list.setCurrentIndex(row)
            self.list.scrollTo(row, QListView.ScrollHint.PositionAtCenter)


def _genes_and_scores(sections: list[Section]) -> tuple[list[str], dict[str, Reliability]]:
    """Genes of all sections, those that most have first, and held-out reliability of predicted ones."""
    count = Counter(gene for section in sections for gene in section.genes)
    scores: dict[str, Reliability] = {}
    for section in sections:
        var = section.table.var
        if not held_out_scores(section):
            continue
        columns = [name for name in ("held_out_r", "held_out_low", "held_out_high") if name in var]
        known = var[columns].astype(float).dropna(subset=["held_out_r"])
        scores |= {
            str(gene): Reliability(*row) for gene, row in zip(known.index, known.to_numpy(), strict=True)
        }
    return sorted(count, key=lambda gene: (-count[gene], symbol_of(gene), gene)), scores


def _restored_genes(sections: list[Section]) -> set[str]:
    """Genes that were restored by an imputer in some section and that no other one has."""
    restored, others = set(), set()
    for section in sections:
        var = section.table.var
        here = set(var.index[var["restored"] > 0]) if "restored" in var else set()
        restored |= here
        others |= set(section.genes) - here
    return restored - others
