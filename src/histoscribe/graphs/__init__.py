"""Graphs: which spots are neighbours in space and which are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from histoscribe.graphs.context import context_means
from histoscribe.graphs.spatial import spatial_graph

if TYPE_CHECKING:
    from histoscribe.graphs.functional import FunctionalEdges, functional_graph

__all__ = ["FunctionalEdges", "context_means", "functional_graph", "spatial_graph"]


def __getattr__(name: str) -> Any:
    if name in ("FunctionalEdges", "functional_graph"):
        from histoscribe.graphs import functional

        return getattr(functional, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
