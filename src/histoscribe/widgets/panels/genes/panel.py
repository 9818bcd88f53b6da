"""The Genes panel: choose genes as you type; every layer of spots that has them is painted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import napari
from magicgui.widgets import FloatRangeSlider, LineEdit, PushButton
from napari.layers import Points
from qtpy.QtCore import QEvent, QModelIndex, QObject, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QHBoxLayout, QListView, QToolButton, QWidget
from superqt.utils import signals_blocked

from histoscribe.evaluation.regions import gene_moments, morans_i
from histoscribe.genes import other_names, symbol_of
from histoscribe.progress import Progress
from histoscribe.section import Section
from histoscribe.widgets.jobs.loading import load_libraries
from histoscribe.widgets.layers.arrangement import is_side_by_side, side_by_side
from histoscribe.widgets.layers.colours import BLEND, BLEND_NAMES, Limits
from histoscribe.widgets.layers.layers import kind_of
from histoscribe.widgets.layers.painting import held_out_scores, paint, sections_in, seen_strips, spot_layers
from histoscribe.widgets.layers.view_state import COLOUR_MAPS, ViewState
from histoscribe.widgets.parts.dialogs import telling
from histoscribe.widgets.parts.fields import ChoiceField, FieldRow, number_field, tick_field, words_field
from histoscribe.widgets.parts.gene_list import GENE_ROLE, GeneListModel, Reliability, gene_view
from histoscribe.widgets.parts.panel import Panel, Words, beside
from histoscribe.widgets.parts.plots import Bar
from histoscribe.widgets.parts.verdict import VerdictBanner

_TYPED = "This value gets the {} colour; log1p of counts per 10,000, kept for it"
_BARS = "Number and bar: r between predicted and measured, on tissue held out of the model's training."
LAYOUT_WORDS = [("Blend colours on each spot", "blend"), ("One pane for each gene", "multiples")]
"""How several genes are shown: in words, and as the state calls it."""
NAME, RELIABILITY, VARIANCE, MEAN, MORAN = "name", "r", "variance", "mean", "moran"
ORDERS = (
    ("Name", NAME),
    ("Reliability (r)", RELIABILITY),
    ("Variance", VARIANCE),
    ("Mean", MEAN),
    ("Pattern in space (Moran's I)", MORAN),
)
"""In words, and as sessions keep them."""


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
        self.bars = self.add(Words(_BARS), visible=lambda: bool(self._scores))
        meaning = "Show the marked gene beside the others, up to three at once (+)"
        self.add_button = self.button("Show beside", meaning, self._add_marked)
        meaning = "Keep the marked gene at the top of the list, or let it go again (P)"
        self.pin_button = self.button("★ Pin", meaning, self._pin_marked)
        self.add(beside(self.add_button, self.pin_button))
        self.chips = self.add(GeneChips(self.state), visible=self._are_several)
        layouts = ChoiceField("layout", lambda: LAYOUT_WORDS, "Show", "How several genes are shown at once")
        self.layout_choice = self.add(layouts, visible=self._are_several)
        self.verdict = self.add(VerdictBanner(self, lambda: sections_in(self.viewer)))
        self.scale = self.add(Bar())
        self.legend = self.add(Words())
        meaning = "Percentiles of the values that get the first and the last colour"
        self.percentiles = self.add(
            FloatRangeSlider(label="Range %", min=0, max=100, value=(1, 99), tooltip=meaning)
        )
        self.low, self.high = (
            number_field("", 0, -99, 99, label="", tooltip=_TYPED.format(end), decimals=2)
            for end in ("first", "last")
        )
        for field in (self.low, self.high):
            field.native.setStyleSheet("min-width: 84px; padding: 0")  # or the dock scrolls sideways
        meaning = "Take the limits of this gene from the percentiles again"
        self.auto = PushButton(text="Auto", tooltip=meaning)
        self.limits = FieldRow("Limits", self.low, self.high, self.auto)
        self.add(self.limits, visible=lambda: bool(self.state.genes))
        meaning = "All of these can be read without colour vision"
        self.colour_map = self.add(
            words_field("colour_map", COLOUR_MAPS, "Colours", meaning),
            visible=lambda: not (self._are_several() and self.state.layout == "blend"),
        )
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
                lacking = [gene for gene in genes if gene not in self._names]
                words = f"No layer has {' or '.join(lacking)}." if lacking else ""
                ends = next((one[genes[0]] for one in limits.values() if genes[0] in one), (0.0, 1.0))
                self.auto.enabled = genes[0] in self.state.fixed
                for field, value in zip((self.low, self.high), ends, strict=True):
                    if not (self.auto.enabled and field.native.hasFocus()):
                        with field.changed.blocked():
                            field.value = value
        self._show_scale()
        self._say(words)

    def _show_scale(self, event: Any = None) -> None:
        """Show the colours of the genes that are seen, as the canvas does; layers come out and hide."""
        if event is None or event.type == "visible":
            self.scale.show_scales(seen_strips(self.viewer))
            self.refresh()

    def _say(self, words: str = "") -> None:
        if self._known and self.search.text() and not self.genes.shown:
            words = f"No match: none of the {len(self._names):,} genes here has such a name."
        self.legend.setText(words)
        self.refresh()

    def _sort(self, *_: object) -> None:
        """List the genes as chosen; what takes long is computed off this thread."""
        by_reliability = self.order.value == RELIABILITY
        self._list_by({gene: score.r for gene, score in self._scores.items()} if by_reliability else {})
        measured = [one for one in self._sections if kind_of(one) == "measured"]
        if self._sections and self.order.value not in (NAME, RELIABILITY):
            asked = (measured or self._sections)[-1], self.order.value
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
        for end in (self.low, self.high):
            end.changed.connect(self._on_limits)
        self.auto.changed.connect(self._forget_limits)
        self.percentiles.changed.connect(self._on_percentiles)
        self.hear(self.viewer.layers.events, self._show_scale)
        self.beside.changed.connect(self._on_beside)
        self.hear(self.state.events, self._on_state)
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

    def _on_percentiles(self, ends: Limits) -> None:
        self.state.low, self.state.high = ends

    def _on_limits(self, *_: object) -> None:
        if self.low.value < self.high.value:
            self.state.fixed = self.state.fixed | {self.state.gene: (self.low.value, self.high.value)}

    def _forget_limits(self) -> None:
        self.state.fixed = {gene: one for gene, one in self.state.fixed.items() if gene != self.state.gene}

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
        with self.percentiles.changed.blocked():
            self.percentiles.value = self.state.low, self.state.high
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


def gene_statistic(request: tuple[Section, str], progress: Progress) -> dict[str, float]:
    """A number a gene to sort by, of log1p of counts per 10,000; Moran's I of the 2,000 most variable."""
    section, order = request
    progress.report("reading the genes")
    load_libraries("scipy.sparse", "histoscribe.evaluation.regions")
    if order == MORAN:
        progress.report("looking for patterns")
        found = morans_i(section)["I"].dropna()
    else:
        found = gene_moments(section)[order]
    return {str(gene): float(value) for gene, value in found.items()}
