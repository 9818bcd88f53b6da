"""Finding a gene among tens of thousands at every keystroke, by any of its names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_END = "\n"


@dataclass(frozen=True)
class Hit:
    """A gene that matches, and the other name by which it was found (empty for its own)."""

    gene: str
    via: str = ""


class GeneSearch:
    """Gene names and their other names, ready to be searched.

    Parameters
    ----------
    names : sequence of str
        In the order in which equally good hits are shown.
    others : mapping of str to tuple of str
        Other names of each gene.
    """

    def __init__(self, names: Sequence[str] = (), others: Mapping[str, tuple[str, ...]] | None = None):
        self.names = list(names)
        self._others = others or {}
        self._own = [name.casefold() for name in self.names]
        every = ((own, *self._folded(name)) for own, name in zip(self._own, self.names, strict=True))
        self._keys = [_END + _END.join(keys) + _END for keys in every]
        self._all = [Hit(name) for name in self.names]

    def find(self, query: str) -> list[Hit]:
        """Genes of which a name contains `query`, whatever the case.

        Equal names come first, then names that begin with it, then the rest; at each step a gene's own
        name before its other ones. An empty query finds all.
        """
        wanted = query.strip().casefold()
        if not wanted:
            return self._all
        ranked = [
            (self._rank(place, wanted), place) for place, keys in enumerate(self._keys) if wanted in keys
        ]
        ranked.sort()
        return [self._hit(place, wanted) for _, place in ranked]

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

    def _folded(self, name: str) -> list[str]:
        return [other.casefold() for other in self._others.get(name, ())]
