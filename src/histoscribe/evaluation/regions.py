"""Regions compared: which spots lie in which class, how they differ, and how classes lie to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import RegionError
from histoscribe.predictor.target import log_cp10k
from histoscribe.progress import Progress
from histoscribe.record import record_of

if TYPE_CHECKING:
    from anndata import AnnData
    from pandas import DataFrame

    from histoscribe.section import Section
    from histoscribe.tiles import Region

FEWEST = 3
REST = "all other spots"
_CLASS = "class"
_NEIGHBOURS = 6


def classes_of(section: Section, regions: Sequence[Region]) -> NDArray[np.str_]:
    """The class of each spot: that of the last region that holds its centre, empty outside all.

    Parameters
    ----------
    section : Section
    regions : sequence of Region
        In full-resolution pixels of the same slide.

    Returns
    -------
    ndarray of str, shape (spots,)
    """
    longest = max([1, *(len(region.name) for region in regions)])
    labels = np.full(section.table.n_obs, "", dtype=f"<U{longest}")
    centres = section.centres
    for region in regions:
        labels[region.contains(centres)] = region.name
    return labels


def class_statistics(
    values: NDArray[np.floating], labels: NDArray[np.str_], regions: Sequence[Region], mpp: float
) -> DataFrame:
    """What one gene does in each class.

    Parameters
    ----------
    values, labels : ndarray, shape (spots,)
        Of the gene, and `classes_of`.
    regions : sequence of Region
    mpp : float
        µm per full-resolution pixel.

    Returns
    -------
    DataFrame
        One row a class and one for spots outside: `spots`, `mean`, `sd`, `median`, `low` and `high` (10th
        and 90th percentile), `above zero` (share) and `area_mm2` (overlaps counted twice; NaN outside).
    """
    import pandas as pd

    rows = {}
    for name in (*dict.fromkeys(region.name for region in regions), ""):
        here = np.asarray(values, dtype=np.float64)[labels == name]
        area = sum(_area(region) for region in regions if region.name == name) * (mpp / 1000) ** 2
        known = here if here.size else np.array([np.nan])
        low, median, high = np.percentile(known, [10, 50, 90])
        rows[name or "outside"] = {
            "spots": int(here.size),
            "area_mm2": area if name else np.nan,
            "mean": float(known.mean()),
            "sd": float(here.std(ddof=1)) if here.size > 1 else np.nan,
            "median": float(median),
            "low": float(low),
            "high": float(high),
            "above zero": float((here > 0).mean()) if here.size else np.nan,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("class")


def differential_genes(
    section: Section,
    labels: NDArray[np.str_],
    first: str,
    second: str = REST,
    *,
    progress: Progress | None = None,
) -> DataFrame:
    """Genes that differ between two classes of spots, by scanpy's Wilcoxon rank-sum test.

    Spots of one section are not independent samples: the p values rank genes, they are no evidence about
    patients.

    Parameters
    ----------
    section : Section
        Counts become log1p of counts per 10,000; predictions are taken as they are.
    labels : ndarray of str, shape (spots,)
    first, second : str
        Classes; `REST` stands for every spot that is not in the first.
    progress : Progress, optional

    Returns
    -------
    DataFrame
        Indexed by gene, strongest first: `score` (z of the test), `log2_fold_change`, `p_adjusted`
        (Benjamini and Hochberg), `in_first` and `in_second` (share of spots above zero).

    Raises
    ------
    RegionError
        If a class has fewer than three spots, or both are the same.
    """
    import scanpy

    progress = progress or Progress()
    other = (labels != first) if second == REST else (labels == second)
    for name, size in ((first, int((labels == first).sum())), (second, int(other.sum()))):
        if size < FEWEST:
            raise RegionError(
                f"{name!r} holds {size} spots, at least {FEWEST} are needed",
                where=section.name,
                remedy="draw a larger region",
            )
    if first == second:
        raise RegionError("a class cannot differ from itself", remedy="choose two classes")
    progress.report("comparing genes", 0, 2)
    chosen = (labels == first) | other
    table = _expression_table(section)[chosen].copy()
    table.obs[_CLASS] = np.where(labels[chosen] == first, "first", "second")
    table.obs[_CLASS] = table.obs[_CLASS].astype("category")
    scanpy.tl.rank_genes_groups(
        table, _CLASS, groups=["first"], reference="second", method="wilcoxon", pts=True, tie_correct=True
    )
    progress.report("comparing genes", 2, 2)
    found: DataFrame = scanpy.get.rank_genes_groups_df(table, "first")
    shares = table.uns["rank_genes_groups"]["pts"].loc[found["names"]]
    result = found.set_index("names")[["scores", "logfoldchanges", "pvals_adj"]]
    result.columns = ["score", "log2_fold_change", "p_adjusted"]
    result["in_first"], result["in_second"] = shares["first"].to_numpy(), shares["second"].to_numpy()
    result = result.rename_axis("gene")
    return result.iloc[np.argsort(-result["score"].abs().to_numpy(), kind="stable")]


def class_neighbourhood(section: Section, labels: NDArray[np.str_], *, seed: int = 0) -> DataFrame:
    """How often spots of one class lie beside those of another, by squidpy's permutation test.

    Returns
    -------
    DataFrame
        Classes by classes: z score against random placing; above 0 is more often than by chance.

    Raises
    ------
    RegionError
        If fewer than two classes hold spots.
    """
    import pandas as pd
    import squidpy

    named = labels != ""
    names = sorted(set(labels[named]))
    if len(names) < 2:
        raise RegionError(
            "neighbourhoods need spots in at least two classes",
            where=section.name,
            remedy="draw another class",
        )
    table = _graph(section.table[named, :0].copy())
    table.obs[_CLASS] = pd.Categorical(labels[named], categories=names)
    squidpy.gr.nhood_enrichment(
        table, cluster_key=_CLASS, seed=seed, n_perms=500, show_progress_bar=False, n_jobs=1
    )
    scores = table.uns[f"{_CLASS}_nhood_enrichment"]["zscore"]
    return pd.DataFrame(scores, index=names, columns=names).rename_axis("class")


def morans_i(section: Section, genes: Sequence[str], inside: NDArray[np.bool_] | None = None) -> DataFrame:
    """Moran's I of genes: 1 where neighbours are alike, 0 where they are as different as any, by squidpy.

    Parameters
    ----------
    section : Section
    genes : sequence of str
    inside : ndarray of bool, shape (spots,), optional
        Only these spots.

    Returns
    -------
    DataFrame
        Indexed by gene, highest first: `I` and `p_adjusted` (normal approximation, Benjamini and Hochberg).

    Raises
    ------
    RegionError
        If fewer than ten spots are left.
    """
    import squidpy

    table = _expression_table(section)[:, list(genes)]
    table = _graph_checked(table if inside is None else table[inside], section.name)
    squidpy.gr.spatial_autocorr(
        table, mode="moran", n_perms=None, n_jobs=1, show_progress_bar=False, corr_method="fdr_bh"
    )
    found: DataFrame = table.uns["moranI"]
    result = found[["I", "pval_norm_fdr_bh"]].rename(columns={"pval_norm_fdr_bh": "p_adjusted"})
    return result.rename_axis("gene").sort_values("I", ascending=False, kind="stable")


def _graph_checked(table: AnnData, where: str) -> AnnData:
    if table.n_obs < 10:
        raise RegionError(
            f"{table.n_obs} spots are too few for Moran's I", where=where, remedy="draw a larger region"
        )
    return _graph(table.copy())


def _graph(table: AnnData) -> AnnData:
    import squidpy

    neighbours = min(_NEIGHBOURS, table.n_obs - 1)
    squidpy.gr.spatial_neighbors(table, coord_type="generic", n_neighs=neighbours)
    return table


def _expression_table(section: Section) -> AnnData:
    """A table of log expression with positions, and nothing else."""
    import anndata
    import pandas as pd
    from scipy import sparse

    table: Any = section.table
    x = log_cp10k(table.X) if record_of(table).measured else table.X
    if sparse.issparse(x):
        x = sparse.csr_matrix(x)  # scanpy knows no sparse arrays yet
    return anndata.AnnData(
        x,
        obs=pd.DataFrame(index=table.obs_names),
        var=pd.DataFrame(index=table.var_names),
        obsm={"spatial": np.asarray(table.obsm["spatial"])},
    )


def _area(region: Region) -> float:
    """Square pixels, holes left out."""
    return _shoelace(region.polygon) - sum(_shoelace(hole) for hole in region.holes)


def _shoelace(ring: NDArray[np.float64]) -> float:
    rows, columns = ring.T
    return float(abs(rows @ np.roll(columns, 1) - columns @ np.roll(rows, 1)) / 2)
