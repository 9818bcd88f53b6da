"""Graphs: which spots are neighbours in space and which are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoscribe.graphs.context import context_means
from histoscribe.graphs.spatial import spatial_graph
from histoscribe.lazy import lazily

if TYPE_CHECKING:
    from histoscribe.graphs.functional import FunctionalEdges, functional_graph

__all__ = ["FunctionalEdges", "context_means", "functional_graph", "spatial_graph"]

__getattr__ = lazily(
    __name__,
    {"FunctionalEdges": "histoscribe.graphs.functional", "functional_graph": "histoscribe.graphs.functional"},
)
