from .context import context_means as context_means
from .functional import FunctionalEdges as FunctionalEdges, functional_graph as functional_graph
from .spatial import spatial_graph as spatial_graph
