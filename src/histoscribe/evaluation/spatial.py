"""Measures that look at where spots lie: likeness of the two maps, and genes that vary in space.

Arrays of shape (spots, genes), measured first, and the spots' centres; one float64 per gene.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histoscribe.graphs import spatial_graph

Scores = NDArray[np.float64]

_WINDOW = 7


def ssim_per_gene(measured: ArrayLike, predicted: ArrayLike, centres: ArrayLike, pitch: float) -> Scores:
    """Structural similarity (Wang et al. 2004) of both maps on the array, each scaled to 0 to 1.

    The spots become an image with a pixel per pitch, its value that of the nearest spot; pixels farther than
    three quarters of a pitch from any spot do not count. NaN where the measured gene is constant.

    Parameters
    ----------
    measured, predicted : array, shape (spots, genes)
    centres : array, shape (spots, 2)
        In the unit of `pitch`.
    pitch : float
    """
    from scipy.spatial import cKDTree
    from skimage.metrics import structural_similarity

    a, b = np.asarray(measured, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    points = np.asarray(centres, dtype=np.float64) / pitch
    low, high = points.min(axis=0), points.max(axis=0)
    rows, columns = np.mgrid[
        0 : max(int(np.ceil(high[0] - low[0])) + 1, _WINDOW),
        0 : max(int(np.ceil(high[1] - low[1])) + 1, _WINDOW),
    ]
    far, nearest = cKDTree(points).query(np.stack([rows + low[0], columns + low[1]], axis=-1))
    inside = far <= 0.75
    scores = np.full(a.shape[1], np.nan)
    for gene in range(a.shape[1]):
        if np.ptp(a[:, gene]) == 0:
            continue
        first, second = (np.where(inside, _scaled(side[:, gene])[nearest], 0) for side in (a, b))
        alike = structural_similarity(  # type: ignore[no-untyped-call]
            first, second, win_size=_WINDOW, data_range=1.0, full=True
        )[1]
        scores[gene] = alike[inside].mean()
    return scores


def moran_per_gene(values: ArrayLike, centres: ArrayLike, pitch: float) -> tuple[Scores, Scores]:
    """Moran's I of each gene by squidpy, and its p-value under normality, FDR-corrected.

    Neighbours lie within 1.5 pitches and weigh alike in a row.

    Parameters
    ----------
    values : array, shape (spots, genes)
    centres : array, shape (spots, 2)
        In the unit of `pitch`.
    pitch : float

    Returns
    -------
    (I, corrected p)
        NaN and 1 where a gene is constant.
    """
    import squidpy
    from anndata import AnnData
    from scipy.sparse import csr_matrix

    expression = np.asarray(values, dtype=np.float32)
    source, target = spatial_graph(centres, pitch, self_edges=False)
    degree = np.bincount(target, minlength=len(expression))
    near = csr_matrix((1 / degree[target], (target, source)), shape=(len(expression),) * 2)
    table = AnnData(expression, obsp={"spatial_connectivities": near})
    table.var_names = [str(number) for number in range(expression.shape[1])]
    found, corrected = np.full(expression.shape[1], np.nan), np.ones(expression.shape[1])
    varying = np.flatnonzero(np.ptp(expression, axis=0) > 0)
    if len(varying) and near.nnz:
        squidpy.gr.spatial_autocorr(
            table,
            mode="moran",
            genes=[str(number) for number in varying],
            n_perms=None,
            n_jobs=1,
            show_progress_bar=False,
        )
        result = table.uns["moranI"]
        order = result.index.astype(int)
        found[order], corrected[order] = result["I"], result["pval_norm_fdr_bh"]
    return found, corrected


def recovered_share(measured: Scores, predicted: Scores, count: int = 50) -> float:
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


def _scaled(values: Scores) -> Scores:
    spread = np.ptp(values)
    return np.asarray((values - values.min()) / (spread or 1.0))
