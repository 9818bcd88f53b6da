"""The list of genes: what matches the search, each with its held-out reliability beside it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from qtpy.QtCore import QAbstractListModel, QModelIndex, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from histoscribe.widgets.panels.genes.gene_search import GeneSearch, Hit

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


class GeneListModel(QAbstractListModel):
    """Gene names that match the search, pinned ones first.

    Rows are handed to Qt in batches as the view scrolls: laying out 20,000 rows at every keystroke would take
    longer than a frame.
    """

    def __init__(self) -> None:
        super().__init__()
        self._search = GeneSearch()
        self._scores: Mapping[str, Reliability] = {}
        self._restored: frozenset[str] = frozenset()
        self._pinned: tuple[str, ...] = ()
        self._query = ""
        self._hits: list[Hit] = []
        self._loaded = 0

    @property
    def shown(self) -> list[str]:
        """The genes that match, in the order shown."""
        return [hit.gene for hit in self._hits]

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
        self.beginResetModel()
        self._hits = self._search.find(query)
        if self._pinned:
            first = [hit for hit in self._hits if hit.gene in self._pinned]
            first.sort(key=lambda hit: self._pinned.index(hit.gene))
            self._hits = first + [hit for hit in self._hits if hit.gene not in self._pinned]
        self._loaded = min(_BATCH, len(self._hits))
        self.endResetModel()

    def set_pinned(self, genes: tuple[str, ...]) -> None:
        """Put these genes first, marked with a star."""
        if genes != self._pinned:
            self._pinned = genes
            self.search(self._query)

    def row_of(self, gene: str) -> QModelIndex:
        """The row of a gene, loaded if need be; an invalid index where it does not match."""
        row = next((row for row, hit in enumerate(self._hits) if hit.gene == gene), -1)
        if row >= self._loaded:
            self._load(row + _BATCH)
        return self.index(row) if row >= 0 else QModelIndex()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Qt asks how many rows are loaded."""
        return self._loaded

    def canFetchMore(self, parent: QModelIndex) -> bool:
        """Qt asks whether more names match than are loaded."""
        return self._loaded < len(self._hits)

    def fetchMore(self, parent: QModelIndex) -> None:
        """Qt has scrolled to the end of what is loaded."""
        self._load(self._loaded + _BATCH)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """Qt asks for a row: its text, the bare gene name, its reliability, or what it all means."""
        if not index.isValid():
            return None
        hit = self._hits[index.row()]
        if role == GENE_ROLE:
            return hit.gene
        score = self._scores.get(hit.gene)
        if role == SCORE_ROLE:
            return score
        if role == Qt.ItemDataRole.DisplayRole:
            star = "★ " if hit.gene in self._pinned else ""
            mark = "   restored" if hit.gene in self._restored else ""
            return f"{star}{hit.gene}   {hit.via}{mark}" if hit.via else f"{star}{hit.gene}{mark}"
        if role == Qt.ItemDataRole.ToolTipRole:
            if score is None:
                return f"{hit.gene}: no prediction here says how reliable it is"
            source = "restored" if hit.gene in self._restored else "predicted"
            return f"{hit.gene}: r {score} between {source} and measured on held-out tissue"
        return None

    def _load(self, rows: int) -> None:
        rows = min(rows, len(self._hits))
        self.beginInsertRows(QModelIndex(), self._loaded, rows - 1)
        self._loaded = rows
        self.endInsertRows()


class ReliabilityDelegate(QStyledItemDelegate):
    """Draws a gene's name, and at the right its held-out r as number, bar and interval."""

    _WIDTH, _TEXT = 56, 40

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
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

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Qt asks how high a row is."""
        return QSize(120, 22)

    @staticmethod
    def _share(r: float) -> float:
        return min(max(r, 0.0), 1.0)
