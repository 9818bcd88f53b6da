"""What was generated, to look at: changes by gene and gene set, a map among known metastases, components."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtWidgets import QTableWidget, QTableWidgetItem, QTabWidget, QVBoxLayout, QWidget

from histoscribe.widgets.layers.layers import LayerData, spot_layer

if TYPE_CHECKING:
    import pandas as pd

    from histoscribe.widgets.panels.generate.generation import Generated

_GENES = 200
_PLAIN, _SITE, _PAIR, _MADE = "#c9ced6", "#7fb8d0", "#2a6f97", "#d1495b"


class ResultTabs(QTabWidget):
    """Genes, gene sets, a map and the components of the last run; empty before it."""

    def __init__(self) -> None:
        super().__init__()
        self.genes = _table(["gene", "log2 change", "primary", "generated"])
        self.sets = _table(["gene set", "log2 change", "95 % of samples", "genes"])
        self.components = _table(["gene set", "adjusted p", "from primary", "from site", "genes"])
        self.map = QWidget()
        self._inside = QVBoxLayout(self.map)
        self.figure = None
        tabs = ((self.genes, "Genes"), (self.sets, "Gene sets"), (self.map, "Map"))
        for widget, title in (*tabs, (self.components, "Components")):
            self.addTab(widget, title)
        self.setMinimumHeight(260)

    def show_result(self, result: Generated) -> None:
        """Fill them all."""
        top: pd.DataFrame = result.genes.head(_GENES)
        _fill(
            self.genes,
            [
                (str(name), f"{row['change']:+.2f}", f"{row['primary']:.1f}", f"{row['generated']:.1f}")
                for name, row in top.iterrows()
            ],
        )
        _fill(
            self.sets,
            [
                (
                    str(name).replace("_", " ").lower(), f"{row['change']:+.2f}",
                    f"{row['low']:+.2f} to {row['high']:+.2f}", f"{int(row['genes'])}",
                )
                for name, row in result.sets.iterrows()
            ],
        )  # fmt: skip
        _fill(
            self.components,
            [
                (
                    f"{row['gene_set']} ({row['component']}{row['end']})".replace("_", " ").lower(),
                    f"{row['adjusted']:.0e}", f"{row['from_primary']:.0%}", f"{row['from_site']:.0%}",
                    row["genes"],
                )
                for _, row in result.components.iterrows()
            ],
        )  # fmt: skip
        self._draw(result)

    def clear_result(self) -> None:
        """Empty them all."""
        _fill(self.genes, [])
        _fill(self.sets, [])
        _fill(self.components, [])
        if self.figure is not None:
            self.figure.clear()
            self.figure.canvas.draw_idle()

    def _draw(self, result: Generated) -> None:
        if self.figure is None:
            from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
            from matplotlib.figure import Figure

            self.figure = Figure(figsize=(4, 3), layout="constrained")
            self._inside.addWidget(FigureCanvasQTAgg(self.figure))
        self.figure.clear()
        axes = self.figure.add_subplot()
        cancer, site = (str(result.table.obs[column].iloc[0]) for column in ("cancer", "site"))
        names = np.array(result.known_names)
        at_site = np.char.endswith(names, f" at {site}")
        pair = names == f"{cancer} at {site}"
        for rows, colour, label in (
            (~at_site, _PLAIN, "other metastases"), (at_site & ~pair, _SITE, f"other cancers at {site}"),
            (pair, _PAIR, f"{cancer} at {site}"),
        ):  # fmt: skip
            if rows.any():
                axes.scatter(*result.known[rows].T, s=8, color=colour, label=label, linewidths=0)
        axes.scatter(*result.places.T, s=14, color=_MADE, marker="x", linewidths=0.8, label="generated")
        axes.set_xlabel("main direction of the training metastases", fontsize=8)
        axes.set_ylabel("second direction", fontsize=8)
        axes.tick_params(labelsize=7)
        self.figure.legend(loc="outside upper center", ncols=2, fontsize=7, frameon=False)
        self.figure.canvas.draw_idle()


def score_layer(result: Generated) -> LayerData:
    """Describe the spots of the primary's section, coloured by how far they lie towards the metastasis."""
    source = result.request.primary.source
    data, described, kind = spot_layer(source, name=f"{source.name} towards {result.request.site}")
    score = np.nan_to_num(result.scores)
    low, high = np.percentile(score, (2, 98))
    described.update(
        metadata={"adata": result.table, "synthetic": True}, features={"score": score}, face_color="score",
        face_colormap="magma", face_contrast_limits=(float(low), float(max(high, low + 1e-6))),
    )  # fmt: skip
    return data, described, kind


def _table(header: list[str]) -> QTableWidget:
    table = QTableWidget(0, len(header))
    table.setHorizontalHeaderLabels(header)
    table.verticalHeader().setVisible(False)
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    table.horizontalHeader().setStretchLastSection(True)
    return table


def _fill(table: QTableWidget, rows: list[tuple[str, ...]]) -> None:
    table.setRowCount(len(rows))
    for place, row in enumerate(rows):
        for column, text in enumerate(row):
            table.setItem(place, column, QTableWidgetItem(text))
    table.resizeColumnsToContents()
