"""A list of gene names that answers every keystroke at once, however many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import QAbstractListModel, QModelIndex, Qt

_GENE = Qt.ItemDataRole.UserRole


class GeneListModel(QAbstractListModel):
    """Gene names, those that match the search, with the held-out score beside each.

    A name that equals the search comes first, then those that begin with it, then those that
    contain it; each group keeps the given order.
    """

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str] = []
        self._folded: list[str] = []
        self._scores: Mapping[str, float] = {}
        self._query = ""
        self._shown: list[str] = []

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
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Qt asks how many names match."""
        return len(self._shown)

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


def matching(names: Sequence[str], folded: Sequence[str], query: str) -> list[str]:
    """Names whose case-folded form contains `query`: equal first, then beginning with it, then the rest."""
    if not query:
        return list(names)
    hits = [index for index, name in enumerate(folded) if query in name]
    hits.sort(key=lambda index: (folded[index] != query, not folded[index].startswith(query)))
    return [names[index] for index in hits]
