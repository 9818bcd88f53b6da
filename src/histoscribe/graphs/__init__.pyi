from .functional import FunctionalEdges as FunctionalEdges, functional_graph as functional_graph
from .spatial import context_means as context_means, spatial_graph as spatial_graph
