"""How genes are painted in one viewer, with an event for each change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from psygnal import SignalGroupDescriptor

COLOUR_MAPS = ("viridis", "cividis", "magma", "inferno", "plasma", "gray")
MOST_GENES = 3
LAYOUTS = ("blend", "multiples")


@dataclass
class ViewState:
    """How genes are painted in one viewer."""

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    gene: str = ""
    """The chosen gene; empty before the first choice."""
    more: tuple[str, ...] = ()
    """Up to two genes shown beside it."""
    layout: str = LAYOUTS[0]
    """How several genes are shown: `blend` mixes their colours on each spot, `multiples` gives each its own
    pane."""
    pinned: tuple[str, ...] = ()
    """Genes kept at the top of the list."""
    colour_map: str = COLOUR_MAPS[0]
    """One of `COLOUR_MAPS`, all of them readable without colour vision."""
    low: float = 1.0
    high: float = 99.0
    """`low` and `high`: percentiles of the values at the ends of the colour scale."""
    shared: bool = True
    """Whether all layers of spots share their colour limits."""
    fixed: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Limits that were typed for a gene, log1p of counts per 10,000; they go before percentiles."""
    unlike: bool = False
    """Whether predictions are painted where the tissue is unlike that of their model's training."""
    trained: tuple[float, str] = (0.0, "")
    """When the last training began, on the monotonic clock, and the folder of its predictor."""

    @property
    def genes(self) -> tuple[str, ...]:
        """The genes shown, each once, at most three."""
        return tuple(dict.fromkeys(gene for gene in (self.gene, *self.more) if gene))[:MOST_GENES]

    def choose(self, gene: str) -> None:
        """Show this gene alone."""
        self.more = ()
        self.gene = gene

    def add(self, gene: str) -> None:
        """Show this gene beside the others; the last one makes room where there are three."""
        if not self.gene:
            self.gene = gene
        elif gene not in self.genes:
            self.more = (*self.genes[1 : MOST_GENES - 1], gene)

    def drop(self, gene: str) -> None:
        """Show this gene no longer, unless it is the only one."""
        left = tuple(one for one in self.genes if one != gene)
        if left:
            self.more = left[1:]
            self.gene = left[0]

    def pin(self, gene: str) -> None:
        """Keep a gene at the top of the list, or let it go again."""
        kept = tuple(one for one in self.pinned if one != gene)
        self.pinned = kept if gene in self.pinned else (*kept, gene)
