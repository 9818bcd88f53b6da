"""What carried a restored gene, and the map of samples: two small windows of the Impute panel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from histoscribe.files import replacing

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

_SHOWN = 40
_CLASSES = 20
_LATTICE = ("in_tissue", "array_row", "array_col")


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
        words = QLabel(
            f"{gene} was restored from these genes. Weights are value times slope in standard deviations, "
            "averaged over samples."
        )
        words.setWordWrap(True)
        self.table = QTableWidget(min(_SHOWN, len(weights)), 3)
        self.table.setHorizontalHeaderLabels(["gene", "mean weight", "mean absolute weight"])
        for row, (name, pair) in enumerate(weights.head(_SHOWN).iterrows()):
            for column, text in enumerate((str(name), f"{pair.iloc[0]:+.4f}", f"{pair.iloc[1]:.4f}")):
                self.table.setItem(row, column, QTableWidgetItem(text))
        self.table.resizeColumnsToContents()
        self.save_button = QPushButton("Save all as CSV…")
        self.save_button.clicked.connect(lambda: self.save())
        layout = QVBoxLayout(self)
        for widget in (words, self.table, self.save_button):
            layout.addWidget(widget)
        self.resize(430, 520)

    def save(self, path: Path | None = None) -> None:
        """Write all weights; asks for a file where none is given."""
        if path is None:
            asked, _ = QFileDialog.getSaveFileName(self, self.windowTitle(), "carriers.csv", "CSV (*.csv)")
            if not asked:
                return
            path = Path(asked)
        with replacing(path) as fresh:
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
        from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
        from matplotlib.figure import Figure

        self.setWindowTitle(f"{name}: the model's summary of each sample")
        self._table = table
        self.places = leading_components(table.obsm["summary"])
        self.colour = QComboBox()
        self.colour.addItems(["one colour", *class_columns(table.obs)])
        self.figure = Figure(figsize=(6, 5), layout="constrained")
        self.canvas = FigureCanvasQTAgg(self.figure)
        layout = QVBoxLayout(self)
        layout.addWidget(self.colour)
        layout.addWidget(self.canvas)
        self.colour.currentTextChanged.connect(self.draw)
        self.colour.setCurrentIndex(min(1, self.colour.count() - 1))
        self.draw()
        self.resize(640, 560)

    def draw(self, *_: object) -> None:
        """Draw the map in the chosen colours."""
        import matplotlib

        self.figure.clear()
        axes = self.figure.add_subplot()
        size = float(np.clip(3000 / len(self.places), 3, 30))
        column = self.colour.currentText()
        if column not in self._table.obs:
            axes.scatter(*self.places.T, s=size, color="#7fb8d0")
        else:
            kinds = self._table.obs[column].astype(str).to_numpy()
            colours = matplotlib.colormaps["tab20"]
            for place, kind in enumerate(np.unique(kinds)):
                some = self.places[kinds == kind]
                axes.scatter(*some.T, s=size, color=colours(place % _CLASSES), label=kind)
            axes.legend(title=column, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=1.5, fontsize=8)
        axes.set_xlabel("summary, component 1")
        axes.set_ylabel("summary, component 2")
        self.canvas.draw_idle()


def leading_components(summary: np.ndarray) -> np.ndarray:
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
