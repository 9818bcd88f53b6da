"""A list of gene names that answers every keystroke at once, however many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import QAbstractListModel, QModelIndex, Qt

_GENE = Qt.ItemDataRole.UserRole
_BATCH = 500


class GeneListModel(QAbstractListModel):
    """Gene names, those that match the search, with the held-out score beside each.

    A name that equals the search comes first, then those that begin with it, then those that
    contain it; each group keeps the given order. Rows are handed to Qt in batches as the view
    scrolls: laying out 20,000 rows at every keystroke would take longer than a frame.
    """

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str] = []
        self._folded: list[str] = []
        self._scores: Mapping[str, float] = {}
        self._query = ""
        self._shown: list[str] = []
        self._loaded = 0

    @property
    def shown(self) -> list[str]:
        """The names that match, in the order shown."""
        return self._shown

    def set_genes(self, names: Sequence[str], scores: Mapping[str, float]) -> None:
        """Replace all names and their held-out Pearson r, keeping the search."""
        self._names = list(names)
        self._folded = [name.casefold() for name in names]
        self._scores = scores
        self.search(self._query)

    def search(self, query: str) -> None:
        """Show the names that contain `query`, whatever the case."""
        self._query = query
        self.beginResetModel()
        self._shown = matching(self._names, self._folded, query.strip().casefold())
        self._loaded = min(_BATCH, len(self._shown))
        self.endResetModel()

    def row_of(self, gene: str) -> QModelIndex:
        """The row of a gene, loaded if need be; an invalid index where it does not match."""
        if gene not in self._shown:
            return QModelIndex()
        row = self._shown.index(gene)
        if row >= self._loaded:
            self._load(row + _BATCH)
        return self.index(row)

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Qt asks how many rows are loaded."""
        return self._loaded

    def canFetchMore(self, parent: QModelIndex) -> bool:
        """Qt asks whether more names match than are loaded."""
        return self._loaded < len(self._shown)

    def fetchMore(self, parent: QModelIndex) -> None:
        """Qt has scrolled to the end of what is loaded."""
        self._load(self._loaded + _BATCH)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> str | None:
        """Qt asks for a row's text; the user role holds the bare gene name."""
        if not index.isValid():
            return None
        gene = self._shown[index.row()]
        if role == _GENE:
            return gene
        score = self._scores.get(gene)
        if role == Qt.ItemDataRole.DisplayRole:
            return gene if score is None else f"{gene}    r {score:.2f}"
        if role == Qt.ItemDataRole.ToolTipRole and score is not None:
            return f"{gene}: Pearson r {score:.3f} between predicted and measured on held-out sections"
        return None

    def _load(self, rows: int) -> None:
        rows = min(rows, len(self._shown))
        self.beginInsertRows(QModelIndex(), self._loaded, rows - 1)
        self._loaded = rows
        self.endInsertRows()


def matching(names: Sequence[str], folded: Sequence[str], query: str) -> list[str]:
    """Names whose case-folded form contains `query`: equal first, then beginning with it, then the rest."""
    if not query:
        return list(names)
    hits = [index for index, name in enumerate(folded) if query in name]
    hits.sort(key=lambda index: (folded[index] != query, not folded[index].startswith(query)))
    return [names[index] for index in hits]
