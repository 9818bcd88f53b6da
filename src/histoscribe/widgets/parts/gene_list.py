"""The list of genes: what matches the search, each with its held-out reliability beside it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QModelIndex, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from histoscribe.genes import symbol_of
from histoscribe.widgets.parts.tables import Column, Index, TableModel

GENE_ROLE = Qt.ItemDataRole.UserRole
SCORE_ROLE = Qt.ItemDataRole.UserRole + 1
_END = "\n"
_GOOD, _FAIR, _POOR = "#4fb3a5", "#d8a657", "#8a8f98"


@dataclass(frozen=True)
class Reliability:
    """Pearson r where the model had not seen the truth, its interval, and between what and where it was."""

    r: float
    low: float = math.nan
    high: float = math.nan
    where: str = "between predicted and measured on tissue held out of the model's training"

    def __str__(self) -> str:
        interval = f" ({self.low:.2f} to {self.high:.2f})" if math.isfinite(self.low + self.high) else ""
        return f"{self.r:.2f}{interval}"


@dataclass(frozen=True)
class Hit:
    """A gene that matches, and the other name by which it was found (empty for its own)."""

    gene: str
    via: str = ""


class GeneSearch:
    """Gene names, in the order of equally good hits, and their other names, ready to be searched."""

    def __init__(self, names: Sequence[str] = (), others: Mapping[str, tuple[str, ...]] | None = None):
        self.names = list(names)
        self._others = others or {}
        self._own = [name.casefold() for name in self.names]
        every = ((name, *self._others.get(name, ())) for name in self.names)
        self._keys = [_END.join(["", *map(str.casefold, keys), ""]) for keys in every]
        self._all = [Hit(name) for name in self.names]

    def find(self, query: str) -> list[Hit]:
        """Genes of which a name contains `query`, whatever the case; an empty query finds all.

        Equal names come first, then names that begin with it, then the rest; each time a gene's own name
        before others.
        """
        wanted = query.strip().casefold()
        if not wanted:
            return self._all
        places = [place for place, keys in enumerate(self._keys) if wanted in keys]
        places.sort(key=lambda place: self._rank(place, wanted))
        return [self._hit(place, wanted) for place in places]

    def _rank(self, place: int, wanted: str) -> int:
        own, keys = self._own[place], self._keys[place]
        if own == wanted:
            return 0
        if f"{_END}{wanted}{_END}" in keys:
            return 1
        if own.startswith(wanted):
            return 2
        if wanted in own:
            return 4
        return 3 if f"{_END}{wanted}" in keys else 5

    def _hit(self, place: int, wanted: str) -> Hit:
        if wanted in self._own[place]:
            return self._all[place]
        name = self.names[place]
        candidates = [other for other in self._others[name] if wanted in other.casefold()]
        return Hit(name, min(candidates, key=lambda other: (not other.casefold().startswith(wanted), other)))


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
            if score is not None:
                return f"{gene}: r {score} {score.where}"
            if gene in self._restored:
                return f"{gene}: restored; how well on this tissue is unknown, for it was not measured here"
            return f"{gene}: no prediction here says how reliable it is"
        return super().data(index, role)

    def _words(self, hit: Hit) -> str:
        """Its symbol, its own name where that is another, the name it was found by, and what it is."""
        names = dict.fromkeys(name for name in (symbol_of(hit.gene), hit.gene, hit.via) if name)
        star = "★ " if hit.gene in self._pinned else ""
        return star + "   ".join([*names, *(["restored"] if hit.gene in self._restored else [])])


def gene_view(model: GeneListModel, meaning: str) -> QListView:
    """A list of genes, each with its reliability beside it."""
    view = QListView(uniformItemSizes=True)
    view.setModel(model)
    view.setToolTip(meaning)
    view.setItemDelegate(ReliabilityDelegate(view))
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
        side = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        painter.drawText(number, side, f"{score.r:.2f}")
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
