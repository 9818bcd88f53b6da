"""Clusters of spots that express alike, and the score of a gene set on each spot."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Wide
from histoscribe.errors import RegionError
from histoscribe.evaluation.guards import varying
from histoscribe.evaluation.regions import log_expression, variable_genes
from histoscribe.progress import Progress
from histoscribe.section import Section

_COMPONENTS, _NEIGHBOURS, _FEWEST = 30, 15, 20


def expression_clusters(
    section: Section, *, resolution: float = 1.0, progress: Progress | None = None
) -> NDArray[np.str_]:
    """Communities of the graph of spots that express alike, the largest called 1.

    The 2,000 most variable genes become 30 principal components, each spot is joined to the 15 most alike,
    and the graph is split by Louvain's method (Blondel et al. 2008, as networkx has it).

    Parameters
    ----------
    section : Section
        Counts become log1p of counts per 10,000; predictions are taken as they are.
    resolution : float
        More of it gives more clusters.

    Returns
    -------
    array of str, shape (spots,)

    Raises
    ------
    RegionError
        If there are fewer than 20 spots, or no gene varies.
    """
    import networkx
    from sklearn.decomposition import PCA
    from sklearn.neighbors import kneighbors_graph

    progress = progress or Progress()
    if section.table.n_obs < _FEWEST:
        problem = f"{section.table.n_obs} spots are too few to be clustered"
        raise RegionError(problem, where=section.name, remedy=f"choose a section of at least {_FEWEST} spots")
    progress.report("finding what varies")
    genes = variable_genes(section)
    if not genes:
        problem = "every gene is the same in all spots: there is nothing to cluster by"
        raise RegionError(problem, where=section.name, remedy="choose a section whose genes vary")
    x = log_expression(section, genes)
    size = min(_COMPONENTS, *x.shape)
    places = PCA(size, svd_solver="randomized", random_state=0).fit_transform(x)
    progress.report("joining spots that express alike")
    graph = networkx.from_scipy_sparse_array(kneighbors_graph(places, min(_NEIGHBOURS, len(x) - 1)))
    progress.report("splitting the graph")
    found = networkx.community.louvain_communities(graph, resolution=resolution, seed=0)
    labels = np.empty(len(x), dtype=object)
    for number, spots in enumerate(sorted(found, key=lambda one: (-len(one), min(one))), start=1):
        labels[list(spots)] = str(number)
    return labels.astype(np.str_)


def set_score(section: Section, genes: Sequence[str]) -> Wide:
    """Mean of a set's genes on each spot, each gene in standard deviations from its mean over the section.

    `RegionError` if the section has fewer than three of them that vary.
    """
    known = [gene for gene in dict.fromkeys(genes) if gene in section.table.var_names]
    x = log_expression(section, known).astype(np.float64)
    x = x[:, varying(x)]
    if x.shape[1] < 3:
        problem = f"{x.shape[1]} of {len(genes)} genes of the set vary here, at least 3 are needed"
        remedy = "choose another set, or restore its genes first"
        raise RegionError(problem, where=section.name, remedy=remedy)
    scores: Wide = ((x - x.mean(axis=0)) / x.std(axis=0)).mean(axis=1)
    return scores
