"""What carried a restored gene, and the map of samples: two small windows of the Impute panel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QComboBox, QPushButton, QVBoxLayout, QWidget

from histoscribe.files import replacing
from histoscribe.palette import SPOT
from histoscribe.widgets.layers.maps import class_palette
from histoscribe.widgets.parts.dialogs import path_to_write, telling
from histoscribe.widgets.parts.panel import wrapped_words
from histoscribe.widgets.parts.plots import DotMap, Dots
from histoscribe.widgets.parts.tables import Column, TableModel, table_view

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

_SHOWN = 40
_CLASSES = 20
_LATTICE = ("in_tissue", "array_row", "array_col")
_CARRIERS = (
    Column("gene", lambda row: str(row[0]), key=lambda row: row[0], left=True),
    Column("mean weight", lambda row: f"{row[1]:+.4f}", key=lambda row: row[1]),
    Column("mean absolute weight", lambda row: f"{row[2]:.4f}", key=lambda row: row[2]),
)


class CarriersView(QWidget):
    """The observed genes that a restored one came from, strongest first, with a button to write them all.

    Parameters
    ----------
    gene : str
    weights : DataFrame
        Columns `weight` (mean over samples) and `absolute weight`, a row for each observed gene.
    """

    def __init__(self, gene: str, weights: pd.DataFrame) -> None:
        super().__init__(None, Qt.WindowType.Tool)
        self.setWindowTitle(f"What carried {gene}")
        self.weights = weights
        words = wrapped_words(
            f"{gene} was restored from these genes. Weights are value times slope in standard deviations, "
            "averaged over samples."
        )
        self.table = TableModel(_CARRIERS)
        self.table.show_rows(list(weights.head(_SHOWN).itertuples()))
        view = table_view(self.table, "The strongest genes")
        view.resizeColumnsToContents()
        self.save_button = QPushButton("Save all as CSV…")
        self.save_button.setToolTip("Every observed gene with its weights")
        self.save_button.clicked.connect(lambda: self.save())
        layout = QVBoxLayout(self)
        for widget in (words, view, self.save_button):
            layout.addWidget(widget)
        self.resize(430, 520)

    def save(self, path: Path | None = None) -> None:
        """Write all weights; asks for a file where none is given."""
        path = path or path_to_write(self, self.windowTitle(), "carriers.csv", "CSV (*.csv)")
        if path is not None:
            with telling(), replacing(path) as fresh:
                self.weights.to_csv(fresh, float_format="%.6g")


class SampleMap(QWidget):
    """Samples by the two leading components of the model's summary, coloured by a column of `obs`.

    Parameters
    ----------
    table : AnnData
        With `obsm["summary"]`.
    name : str
    """

    def __init__(self, table: AnnData, name: str) -> None:
        super().__init__(None, Qt.WindowType.Tool)
        self.setWindowTitle(f"{name}: the model's summary of each sample")
        self._table = table
        self.places = leading_components(table.obsm["summary"])
        self.colour = QComboBox()
        self.colour.setToolTip("What the samples are coloured by")
        self.colour.addItems(["one colour", *class_columns(table.obs)])
        self.map = DotMap("summary, component 1", "summary, component 2")
        layout = QVBoxLayout(self)
        layout.addWidget(self.colour)
        layout.addWidget(self.map, 1)
        self.colour.currentTextChanged.connect(self.draw)
        self.colour.setCurrentIndex(min(1, self.colour.count() - 1))
        self.draw()
        self.resize(640, 560)

    def draw(self, *_: object) -> None:
        """Draw the map in the chosen colours."""
        size = float(np.clip(np.sqrt(4000 / max(len(self.places), 1)), 2, 7))
        column = self.colour.currentText()
        if column not in self._table.obs:
            self.map.show_groups([Dots("", self.places, SPOT, size)])
            return
        kinds = self._table.obs[column].astype(str).to_numpy()
        named = np.unique(kinds)
        colours = [QColor.fromRgbF(*map(float, colour)).name() for colour in class_palette(len(named))]
        groups = zip(named, colours, strict=True)
        self.map.show_groups(
            [Dots(str(kind), self.places[kinds == kind], colour, size) for kind, colour in groups], column
        )


def leading_components(summary: NDArray[np.floating]) -> NDArray[np.float64]:
    """The two leading principal components, shape (samples, 2); NaN where the summary is."""
    known = np.isfinite(summary).all(1)
    result = np.full((len(summary), 2), np.nan)
    centred = summary[known] - summary[known].mean(0) if known.any() else summary[known]
    if len(centred) > 1:
        left, strengths, _ = np.linalg.svd(centred, full_matrices=False)
        found = (left * strengths)[:, :2]
        result[known, : found.shape[1]] = found
    return result


def class_columns(obs: pd.DataFrame) -> list[str]:
    """Columns with 2 to 20 different values, what samples can be coloured by: words before numbers."""
    some = [name for name in obs if name not in _LATTICE and 2 <= obs[name].nunique() <= _CLASSES]
    return [str(name) for name in sorted(some, key=lambda name: obs[name].dtype.kind in "iuf")]
