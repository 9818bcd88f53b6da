"""Spatial statistics: likeness of two maps, genes that vary in space, how classes of spots lie to each other.

Arrays have shape (spots, genes), measured first; results are one float64 per gene. What cannot be told (a
constant gene, too few spots, spots without neighbours) is NaN for that gene or class alone.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from histoscribe.arrays import Wide
from histoscribe.evaluation.guards import FEWEST, FEWEST_IN_SPACE, another_library, finite_places, varying
from histoscribe.graphs import spatial_graph

_WINDOW = 7
_MOST_PIXELS = 50_000_000
_NO_SPREAD = 1e-12


def ssim_per_gene(measured: ArrayLike, predicted: ArrayLike, centres: ArrayLike, pitch: float) -> Wide:
    """Structural similarity (Wang et al. 2004) of both maps on the array, each scaled to 0 to 1.

    The spots become an image with a pixel per pitch, its value that of the nearest spot; pixels farther than
    three quarters of a pitch from any spot do not count. NaN where the measured gene is constant or either is
    not finite; for every gene of fewer than four spots, or of some so far apart that no image holds them.

    `measured` and `predicted` (spots, genes); `centres` (spots, 2): in the unit of `pitch`.
    """
    from scipy.spatial import cKDTree
    from skimage.metrics import structural_similarity

    a, b = np.asarray(measured, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    points, scores = finite_places(centres) / pitch, np.full(a.shape[1], np.nan)
    if len(points) < FEWEST_IN_SPACE or np.prod(np.ptp(points, axis=0) + _WINDOW) > _MOST_PIXELS:
        return scores
    low, high = points.min(axis=0), points.max(axis=0)
    sides = np.maximum(np.ceil(high - low).astype(int) + 1, _WINDOW)
    rows, columns = np.indices(sides)
    far, nearest = cKDTree(points).query(np.stack([rows + low[0], columns + low[1]], axis=-1))
    inside = far <= 0.75
    for gene in np.flatnonzero(varying(a) & np.isfinite(b).all(axis=0)):
        raised = (side[:, gene] - side[:, gene].min() for side in (a, b))
        first, second = (np.where(inside, (one / (one.max() or 1.0))[nearest], 0) for one in raised)
        alike = structural_similarity(  # type: ignore[no-untyped-call]
            first, second, win_size=_WINDOW, data_range=1.0, full=True
        )[1]
        scores[gene] = alike[inside].mean()
    return scores


def moran_per_gene(values: ArrayLike, centres: ArrayLike, pitch: float) -> tuple[Wide, Wide]:
    """Moran's I of each gene by squidpy, and its p-value under normality, FDR-corrected.

    Neighbours lie within 1.5 pitches and weigh alike in a row.

    `values` (spots, genes); `centres` (spots, 2): in the unit of `pitch`. Returns (I, corrected p): NaN and 1
    where a gene is constant or not finite; for every gene where there are fewer than four spots, none has a
    neighbour, or all are neighbours of all.
    """
    import squidpy
    from anndata import AnnData
    from scipy.sparse import csr_matrix

    expression = np.asarray(values, dtype=np.float32)
    near = neighbour_graph(centres, pitch)
    degree = near.sum(axis=1)
    weights = csr_matrix(near.multiply(1 / np.maximum(degree, 1)[:, None]))
    table = AnnData(expression, obsp={"spatial_connectivities": weights})
    table.var_names = [str(number) for number in range(expression.shape[1])]
    found, corrected = np.full(expression.shape[1], np.nan), np.ones(expression.shape[1])
    genes = [str(number) for number in np.flatnonzero(varying(expression))]
    if genes and near.nnz and len(expression) >= FEWEST_IN_SPACE:
        with another_library():
            squidpy.gr.spatial_autocorr(
                table, mode="moran", genes=genes, n_perms=None, n_jobs=1, show_progress_bar=False
            )
        result = table.uns["moranI"]
        result = result[result["var_norm"] > _NO_SPREAD]  # where any placing gives the same I
        order = result.index.astype(int)
        found[order], corrected[order] = result["I"], result["pval_norm_fdr_bh"]
    return found, corrected


def neighbour_enrichment(
    labels: NDArray[np.str_], centres: ArrayLike, pitch: float, *, draws: int = 500, seed: int = 0
) -> tuple[list[str], Wide]:
    """How often spots of one class lie beside those of another, by squidpy's permutation test.

    Neighbours lie within 1.5 pitches; spots without any have no say.

    `labels` (spots,); `centres` (spots, 2): in the unit of `pitch`; `draws` and `seed`: of the permutations.
    Returns (classes, classes): the classes in alphabetical order, and z scores against random placing; NaN
    for a class of fewer than three spots with a neighbour, and where every placing is alike.
    """
    import squidpy
    from anndata import AnnData
    from scipy.sparse import csr_matrix

    near = neighbour_graph(centres, pitch)
    met = np.flatnonzero(near.sum(axis=1) > 0)
    names = sorted(set(labels.tolist()))
    sizes = {name: int((labels[met] == name).sum()) for name in names}
    kept = [name for name in names if sizes[name] >= FEWEST]
    scores = np.full((len(names), len(names)), np.nan)
    if len(kept) > 1:
        rows = met[np.isin(labels[met], kept)]
        among = csr_matrix(near)[rows][:, rows]
        table = AnnData(np.zeros((len(rows), 0)), obsp={"spatial_connectivities": among})
        table.obs["class"] = pd.Categorical(labels[rows], categories=kept)
        with another_library():
            squidpy.gr.nhood_enrichment(
                table, cluster_key="class", seed=seed, n_perms=draws, show_progress_bar=False, n_jobs=1
            )
        z = np.asarray(table.uns["class_nhood_enrichment"]["zscore"], dtype=np.float64)
        places = [place for place, name in enumerate(names) if name in set(kept)]
        scores[np.ix_(places, places)] = np.where(np.isfinite(z), z, np.nan)
    return names, scores


def neighbour_graph(centres: ArrayLike, pitch: float) -> Any:
    """Which spots lie within 1.5 pitches of each other: CSR of float64, shape (spots, spots), ones."""
    from scipy.sparse import csr_array

    source, target = spatial_graph(centres, pitch, self_edges=False)
    count = len(finite_places(centres))
    return csr_array((np.ones(len(source)), (target, source)), shape=(count, count))


def recovered_share(measured: Wide, predicted: Wide, count: int = 50) -> float:
    """Share of the `count` genes of highest measured Moran's I that are among the predicted ones."""
    count = min(count, int(np.isfinite(measured).sum()))
    if not count:
        return float("nan")
    if not np.isfinite(predicted).any():
        return 0.0
    wanted, told = (
        set(np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")[:count].tolist())
        for values in (measured, predicted)
    )
    return len(wanted & told) / count
