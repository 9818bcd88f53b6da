"""The list of genes: what matches the search, each with its held-out reliability beside it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QModelIndex, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from histoscribe.widgets.parts.gene_search import GeneSearch, Hit
from histoscribe.widgets.parts.tables import Column, Index, TableModel

GENE_ROLE = Qt.ItemDataRole.UserRole
SCORE_ROLE = Qt.ItemDataRole.UserRole + 1
_BATCH = 500
_GOOD, _FAIR, _POOR = "#4fb3a5", "#d8a657", "#8a8f98"


@dataclass(frozen=True)
class Reliability:
    """Pearson r between predicted and measured on tissue that the model had not seen, and its interval."""

    r: float
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        interval = f" ({self.low:.2f} to {self.high:.2f})" if math.isfinite(self.low + self.high) else ""
        return f"{self.r:.2f}{interval}"


class GeneListModel(TableModel):
    """Gene names that match the search, pinned ones first."""

    def __init__(self) -> None:
        super().__init__([Column("gene", self._words, left=True)])
        self._search = GeneSearch()
        self._scores: Mapping[str, Reliability] = {}
        self._restored: frozenset[str] = frozenset()
        self._pinned: tuple[str, ...] = ()
        self._query = ""

    @property
    def shown(self) -> list[str]:
        """The genes that match, in the order shown."""
        return [hit.gene for hit in self.rows]

    def set_genes(
        self,
        names: Sequence[str],
        scores: Mapping[str, Reliability],
        others: Mapping[str, tuple[str, ...]] | None = None,
        restored: Collection[str] = (),
    ) -> None:
        """Replace all names, their held-out reliability, their other names and marks, keeping the search."""
        self._search = GeneSearch(names, others)
        self._restored = frozenset(restored)
        self._scores = scores
        self.search(self._query)

    def search(self, query: str) -> None:
        """Show the genes of which a name contains `query`."""
        self._query = query
        hits = self._search.find(query)
        if self._pinned:
            first = [hit for hit in hits if hit.gene in self._pinned]
            first.sort(key=lambda hit: self._pinned.index(hit.gene))
            hits = first + [hit for hit in hits if hit.gene not in self._pinned]
        self.show_rows(hits)

    def set_pinned(self, genes: tuple[str, ...]) -> None:
        """Put these genes first, marked with a star."""
        if genes != self._pinned:
            self._pinned = genes
            self.search(self._query)

    def row_of(self, gene: str) -> QModelIndex:
        """The row of a gene, loaded if need be; an invalid index where it does not match."""
        row = next((row for row, hit in enumerate(self.rows) if hit.gene == gene), -1)
        self.load(row + 1)
        return self.index(row, 0)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Qt asks for a row: its text, the bare gene name, its reliability, or what it all means."""
        if not index.isValid():
            return None
        gene = self.rows[index.row()].gene
        score = self._scores.get(gene)
        if role == GENE_ROLE:
            return gene
        if role == SCORE_ROLE:
            return score
        if role == Qt.ItemDataRole.ToolTipRole:
            if score is None:
                return f"{gene}: no prediction here says how reliable it is"
            source = "restored" if gene in self._restored else "predicted"
            return f"{gene}: r {score} between {source} and measured on held-out tissue"
        return super().data(index, role)

    def _words(self, hit: Hit) -> str:
        star = "★ " if hit.gene in self._pinned else ""
        mark = "   restored" if hit.gene in self._restored else ""
        return f"{star}{hit.gene}   {hit.via}{mark}" if hit.via else f"{star}{hit.gene}{mark}"


def gene_view(model: GeneListModel, meaning: str) -> QListView:
    """A list of genes, each with its reliability beside it."""
    view = QListView()
    view.setUniformItemSizes(True)
    view.setModel(model)
    view.setItemDelegate(ReliabilityDelegate(view))
    view.setToolTip(meaning)
    return view


class ReliabilityDelegate(QStyledItemDelegate):
    """Draws a gene's name, and at the right its held-out r as number, bar and interval."""

    _WIDTH, _TEXT = 56, 40

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Qt asks for one visible row."""
        super().paint(painter, option, index)
        score = index.data(SCORE_ROLE)
        if score is None:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = option.rect.adjusted(0, 0, -6, 0)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        ink = option.palette.highlightedText() if chosen else option.palette.text()
        painter.setPen(ink.color())
        number = QRectF(box.right() - self._TEXT, box.top(), self._TEXT, box.height())
        painter.drawText(
            number, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, f"{score.r:.2f}"
        )
        left, middle = number.left() - self._WIDTH - 6, box.center().y()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(128, 128, 128, 60))
        painter.drawRoundedRect(QRectF(left, middle - 3, self._WIDTH, 6), 3, 3)
        painter.setBrush(QColor(_GOOD if score.r >= 0.4 else _FAIR if score.r >= 0.2 else _POOR))
        painter.drawRoundedRect(QRectF(left, middle - 3, self._WIDTH * self._share(score.r), 6), 3, 3)
        if math.isfinite(score.low + score.high):
            painter.setBrush(ink)
            start, end = (left + self._WIDTH * self._share(value) for value in (score.low, score.high))
            painter.drawRect(QRectF(start, middle - 0.5, max(end - start, 1), 1))
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Qt asks how high a row is."""
        return QSize(120, 22)

    @staticmethod
    def _share(r: float) -> float:
        return min(max(r, 0.0), 1.0)
