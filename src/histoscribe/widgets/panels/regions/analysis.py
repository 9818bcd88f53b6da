"""What differs between classes of spots: one gene's spread, differential genes, and how classes lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QModelIndex, Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from histoscribe.errors import HistoscribeError, SettingError
from histoscribe.widgets.jobs.tasks import TaskBar, tell
from histoscribe.widgets.layers.painting import expression
from histoscribe.widgets.layers.regions import Colour
from histoscribe.widgets.parts.plots import Violins
from histoscribe.widgets.parts.tables import TableModel, table_view

if TYPE_CHECKING:
    from pandas import DataFrame

    from histoscribe.progress import Progress
    from histoscribe.section import Section
    from histoscribe.tiles import Region
    from histoscribe.widgets.layers.view_state import ViewState

_GREY: Colour = (140, 140, 140)
_MOST_GENES = 2000
MEANINGS = {
    "area_mm2": "Area of the drawn regions, overlaps counted twice",
    "low": "10th percentile",
    "high": "90th percentile",
    "above zero": "Share of spots with a value above zero",
    "score": "z of the Wilcoxon rank-sum test; spots of one section are no independent samples",
    "log2_fold_change": "How much more of it is in the first class, as power of two",
    "p_adjusted": "After Benjamini and Hochberg; ranks genes, and is no evidence about patients",
    "in_first": "Share of spots of the first class above zero",
    "in_second": "Share of the other spots above zero",
    "I": "Moran's I: 1 where neighbouring spots are alike, 0 where not more than any two",
}
WORDS = {
    "area_mm2": "area, mm²",
    "log2_fold_change": "log2 fold",
    "p_adjusted": "p adjusted",
    "in_first": "in first",
    "in_second": "in second",
}


@dataclass(frozen=True, eq=False)
class Chosen:
    """What is to be analysed: spots, regions, the class of each spot, the colour of each class."""

    section: Section
    regions: tuple[Region, ...]
    labels: NDArray[np.str_]
    colours: dict[str, Colour]


class RegionAnalysis(QTabWidget):
    """Three tabs over the spots and regions that `chosen` gives.

    Parameters
    ----------
    state : ViewState
        Of the viewer; a row of a table of genes chooses the gene.
    chosen : callable
        Gives what is to be analysed; raises a HistoscribeError where something is missing.
    """

    def __init__(self, state: ViewState, chosen: Callable[[], Chosen]) -> None:
        super().__init__()
        self._state, self._chosen = state, chosen
        self.violins = Violins()
        self.statistics, self.genes, self.space = TableModel(), TableModel(), TableModel()
        self.first, self.second = QComboBox(), QComboBox()
        self.first.setToolTip("The class whose genes are looked for")
        self.second.setToolTip("What it is compared with")
        self.compare_button = QPushButton("Differential genes")
        self.compare_button.setToolTip("Wilcoxon rank-sum test of every gene (scanpy)")
        self.neighbours_button = QPushButton("Neighbourhood")
        self.neighbours_button.setToolTip("How often classes lie beside each other, against chance (squidpy)")
        self.moran_button = QPushButton("Moran's I")
        self.moran_button.setToolTip("Which genes have a pattern within the drawn regions (squidpy)")
        self.tasks = TaskBar()
        self.words = QLabel()
        self.words.setWordWrap(True)
        self._arrange()
        self.compare_button.clicked.connect(self.compare)
        self.neighbours_button.clicked.connect(self.neighbourhood)
        self.moran_button.clicked.connect(self.moran)

    def refresh(self) -> None:
        """Show one gene's spread in the classes of now."""
        try:
            chosen = self._chosen()
        except HistoscribeError:
            self.violins.show_groups({}, "")
            self.statistics.show_frame(None, {}, {})
            return
        self._offer(sorted(set(chosen.labels[chosen.labels != ""])))
        gene = self._state.gene
        if gene not in chosen.section.table.var_names:
            return
        from histoscribe.evaluation.regions import class_statistics

        values = expression(chosen.section, gene)
        groups = {name: (values[chosen.labels == name], colour) for name, colour in chosen.colours.items()}
        groups["outside"] = values[chosen.labels == ""], _GREY
        self.violins.show_groups(groups, gene)
        frame = class_statistics(values, chosen.labels, chosen.regions, chosen.section.mpp)
        self.statistics.show_frame(frame, WORDS, MEANINGS)

    def compare(self) -> None:
        """Look for genes that differ between the two chosen classes."""
        from histoscribe.evaluation.regions import differential_genes

        pair = self.first.currentText(), self.second.currentText()
        self._run(
            lambda chosen, progress: differential_genes(
                chosen.section, chosen.labels, *pair, progress=progress
            ),
            self.genes,
            f"{pair[0]} against {pair[1]}",
        )

    def neighbourhood(self) -> None:
        """Look how the classes lie to each other."""
        from histoscribe.evaluation.regions import class_neighbourhood

        words = "z scores: above 0, spots of two classes lie side by side more often than by chance"
        self._run(lambda chosen, _: class_neighbourhood(chosen.section, chosen.labels), self.space, words)

    def moran(self) -> None:
        """Look for genes with a pattern inside the regions; of many genes, the 2,000 most variable."""
        self._run(_moran, self.space, "Moran's I of genes within the drawn regions")

    def save(self, model: TableModel, path: Path | None = None) -> None:
        """Write a table as CSV; asks where to if no path is given."""
        if model.frame is None:
            return
        if path is None:
            found, _ = QFileDialog.getSaveFileName(self, "Save the table", "regions.csv", "CSV (*.csv)")
            if not found:
                return
            path = Path(found)
        from histoscribe.files import replacing

        try:
            with replacing(path) as fresh:
                model.frame.to_csv(fresh)
        except Exception as error:
            tell(error)

    def _run(self, job: Callable[[Chosen, Progress], DataFrame], model: TableModel, words: str) -> None:
        try:
            chosen = self._chosen()
            if not chosen.labels.any():
                raise SettingError(
                    "no spot lies in a region that has a class", remedy="draw one around spots"
                )
        except HistoscribeError as error:
            tell(error)
            return
        self.tasks.run(partial(job, chosen), partial(self._show, model, words))

    def _show(self, model: TableModel, words: str, frame: DataFrame) -> None:
        model.show_frame(frame, WORDS, MEANINGS)
        self.words.setText(words)

    def _offer(self, names: list[str]) -> None:
        from histoscribe.evaluation.regions import REST

        for combo, words in ((self.first, names), (self.second, [REST, *names])):
            before = combo.currentText()
            combo.clear()
            combo.addItems(words)
            combo.setCurrentIndex(max(0, combo.findText(before)))

    def _on_row(self, model: TableModel, current: QModelIndex, _previous: QModelIndex) -> None:
        if current.isValid() and model.gene_at(current.row()) not in self._state.genes:
            self._state.choose(model.gene_at(current.row()))

    def _arrange(self) -> None:
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.violins)
        split.addWidget(table_view(self.statistics))
        pair = QHBoxLayout()
        for widget in (self.first, QLabel("against"), self.second):
            pair.addWidget(widget)
        buttons = QHBoxLayout()
        buttons.addWidget(self.neighbours_button)
        buttons.addWidget(self.moran_button)
        self.views = {
            name: table_view(model) for name, model in (("genes", self.genes), ("space", self.space))
        }
        for name, model in (("genes", self.genes), ("space", self.space)):
            self.views[name].selectionModel().currentChanged.connect(partial(self._on_row, model))
        self.addTab(split, "One gene")
        self.addTab(
            self._tab(pair, self.compare_button, self.views["genes"], self._saver(self.genes)), "Genes"
        )
        self.addTab(self._tab(buttons, self.views["space"], self._saver(self.space)), "In space")

    def _saver(self, model: TableModel) -> QPushButton:
        button = QPushButton("Save the table…")
        button.setToolTip("As CSV")
        button.clicked.connect(lambda: self.save(model))
        return button

    @staticmethod
    def _tab(row: QHBoxLayout, *widgets: QWidget) -> QWidget:
        tab = QWidget()
        layout = QVBoxLayout(tab)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(row)
        for widget in widgets:
            layout.addWidget(widget)
        return tab


def _moran(chosen: Chosen, progress: Progress) -> DataFrame:
    from histoscribe.evaluation.regions import morans_i

    progress.report("looking for patterns")
    genes = chosen.section.genes
    if len(genes) > _MOST_GENES:
        x = chosen.section.table.X
        square = x.multiply(x) if hasattr(x, "multiply") else np.square(x)
        mean = np.asarray(x.mean(axis=0)).ravel()
        spread = np.asarray(square.mean(axis=0)).ravel() - mean**2
        genes = [genes[place] for place in np.argsort(-spread, kind="stable")[:_MOST_GENES]]
    return morans_i(chosen.section, genes, chosen.labels != "")
