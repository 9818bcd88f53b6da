"""Regions compared: which spots lie in which class, how they differ, and how classes lie to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from histoscribe.arrays import Floats, Mask, Wide
from histoscribe.bulk.table import dense
from histoscribe.errors import RegionError
from histoscribe.evaluation.guards import FARTHEST_UM, FEWEST, another_library, finite_places, moments
from histoscribe.evaluation.spatial import moran_per_gene, neighbour_enrichment
from histoscribe.predictor.target import log_cp10k
from histoscribe.progress import Progress
from histoscribe.record import amend_record, record_of
from histoscribe.section.table import no_gene
from histoscribe.tiles import Region, areas, parse_regions, region_at, regions_text

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.sparse import csr_array

    from histoscribe.section import Section

REST = "all other spots"
_CLASS = "class"
_FEWEST_FOR_PATTERN = 10
_HARDLY = 1e-3  # log1p of counts per 10,000 that are as good as none
_FARTHEST = 12  # in pitches: beyond, patches of tissue are taken for independent
_SAMPLED = 600  # spots whose surroundings the correlation is estimated from
_MOST = 5_000  # spots whose surroundings the comparison itself is told from
_VALUES_AT_ONCE = 3_000_000


def classes_of(section: Section, regions: Sequence[Region]) -> NDArray[np.str_]:
    """The class of each spot: that of the last region that holds its centre, empty outside all.

    Parameters
    ----------
    regions : sequence of Region
        In full-resolution pixels of the same slide.

    Returns
    -------
    array of str, shape (spots,)
    """
    names = np.array([*(region.name for region in regions), ""], dtype=np.str_)
    return np.asarray(names[region_at(regions, section.centres)])


def class_statistics(
    values: NDArray[np.floating], labels: NDArray[np.str_], regions: Sequence[Region], mpp: float
) -> pd.DataFrame:
    """What one gene does in each class.

    `values` and `labels` (spots,): of the gene, and `classes_of`; `mpp`: µm per full-resolution pixel.
    Returns one row a class and one for spots outside: `spots`, `mean`, `sd`, `median`, `low` and `high` (10th
    and 90th percentile), `above zero` (share) and `area_mm2` (overlaps counted twice; NaN outside).
    """
    rows, sizes = {}, areas(regions)
    own = np.array([region.name for region in regions])
    outside = outside_of(own)
    for name in (*dict.fromkeys(own.tolist()), ""):
        here = np.asarray(values, dtype=np.float64)[labels == name]
        area = float(sizes[own == name].sum()) * (mpp / 1000) ** 2
        known = here if here.size else np.array([np.nan])
        low, median, high = np.percentile(known, [10, 50, 90])
        rows[name or outside] = {
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
) -> pd.DataFrame:
    """Genes that differ between two classes of spots, of measured ones by a Wilcoxon rank-sum test.

    Neighbouring spots are alike, so scanpy's test is taken for as many as they are worth (`effective_share`).
    The p values rank genes of one section, and are no evidence about patients. Predictions are smoother than
    tissue by their making: they get sizes of effect, and no p values.

    Parameters
    ----------
    section : Section
        Counts become log1p of counts per 10,000; predictions are taken as they are.
    labels : array of str, shape (spots,)
        See `classes_of`.
    first, second : str
        Classes; `REST` stands for every spot that is not in the first.

    Returns
    -------
    DataFrame
        Indexed by gene, strongest first: `effect` (difference of the means in standard deviations within the
        classes), `log2_fold_change` (NaN where one class has less than a count in ten million), `in_first`
        and `in_second` (share of spots above zero); of measured spots `score` (z of the test), `p_adjusted`
        (Benjamini and Hochberg) and `effective_spots` too.

    Raises
    ------
    RegionError
        If a class has fewer than three spots, or both are the same.
    """
    import scanpy
    from scipy.stats import false_discovery_control, norm

    progress = progress or Progress()
    other = (labels != first) if second == REST else (labels == second)
    for name, size in ((first, int((labels == first).sum())), (second, int(other.sum()))):
        if size < FEWEST:
            problem = f"{name!r} holds {size} spots, at least {FEWEST} are needed"
            raise RegionError(problem, where=section.name, remedy="draw a larger region")
    if first == second:
        raise RegionError("a class cannot differ from itself", remedy="choose two classes")
    progress.report("comparing genes", 0, 2)
    first_spots, whole = labels == first, _expression_table(section)
    chosen = first_spots | other
    table = whole[chosen].copy()
    in_first = first_spots[chosen]
    result = pd.DataFrame(_differences(table.X[in_first], table.X[~in_first]), table.var_names)
    result = result.rename_axis("gene")
    if not record_of(section.table).measured:
        return result.iloc[np.argsort(-result["effect"].abs().to_numpy(), kind="stable")]
    table.obs[_CLASS] = pd.Categorical(np.where(in_first, "first", "second"))
    with another_library():
        scanpy.tl.rank_genes_groups(
            table, _CLASS, groups=["first"], reference="second", method="wilcoxon", tie_correct=True
        )
    found = scanpy.get.rank_genes_groups_df(table, "first").set_index("names")["scores"]
    centres, pitch, rest = section.centres_um, section.spacing_um, other & ~first_spots
    share = effective_share(whole.X, centres, first_spots, rest, pitch, progress=progress)
    score = found[result.index].to_numpy(dtype=np.float64) * np.sqrt(share)
    result.insert(0, "score", score)
    result.insert(3, "p_adjusted", false_discovery_control(2 * norm.sf(np.abs(score))))
    result["effective_spots"] = share * chosen.sum()
    return result.iloc[np.lexsort((-result["effect"].abs(), -np.abs(score)))]


def _differences(first: Any, second: Any) -> dict[str, Wide]:
    """Effect, fold change and shares above zero of two groups of spots; no effect where nothing varies."""
    (mean, variance), (other, varies) = moments(first), moments(second)
    sizes = first.shape[0], second.shape[0]
    spread = np.sqrt((variance * sizes[0] + varies * sizes[1]) / max(sum(sizes) - 2, 1))
    above = [np.ravel((x > 0).mean(axis=0, dtype=np.float64)) for x in (first, second)]
    ratio = (np.minimum(mean, other) > _HARDLY) & (above[0] > 0) & (above[1] > 0)  # over nothing: none
    with np.errstate(all="ignore"):
        effect = np.where(spread > 0, (mean - other) / spread, 0.0)
        fold = np.where(ratio, np.log2(np.expm1(mean) / np.expm1(other)), np.nan)
    return {"effect": effect, "log2_fold_change": fold, "in_first": above[0], "in_second": above[1]}


def outside_of(names: NDArray[np.str_]) -> str:
    """What spots outside all classes are called beside classes of these names."""
    return "outside" if "outside" not in names else REST


def class_profile(
    section: Section, labels: NDArray[np.str_], genes: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean of each gene in each class, and the share of its spots above zero; both genes by classes.

    Spots outside are a class of their own, the last.
    """
    names = sorted(set(labels.tolist()), key=lambda name: (not name, name))
    values = log_expression(section, genes)
    told = [values[labels == name] for name in names]
    names = [name or outside_of(labels) for name in names]
    means, shares = (
        pd.DataFrame(np.array(one).T, index=pd.Index(genes), columns=names)
        for one in ([one.mean(axis=0) for one in told], [(one > 0).mean(axis=0) for one in told])
    )
    return means, shares


def class_neighbourhood(section: Section, labels: NDArray[np.str_], *, seed: int = 0) -> pd.DataFrame:
    """How often spots of one class lie beside those of another, by squidpy.

    Parameters
    ----------
    labels : array of str, shape (spots,)
        See `classes_of`.
    seed : int
        Of the random placing.

    Returns
    -------
    DataFrame
        Classes by classes: z score against random placing; above 0 is more often than by chance.

    Raises
    ------
    RegionError
        If fewer than two classes hold spots, or these lie too far apart to be neighbours.
    """
    named = labels != ""
    if len(set(labels[named].tolist())) < 2:
        problem = "neighbourhoods need spots in at least two classes"
        raise RegionError(problem, where=section.name, remedy="draw another class")
    centres = section.centres_um[named]
    names, scores = neighbour_enrichment(labels[named], centres, _near(section), seed=seed)
    return pd.DataFrame(scores, index=names, columns=names).rename_axis("class")


def morans_i(
    section: Section, genes: Sequence[str] | None = None, inside: Mask | None = None
) -> pd.DataFrame:
    """Moran's I of genes: 1 where neighbours are alike, 0 where they are as different as any.

    Parameters
    ----------
    genes : sequence of str, optional
        The 2,000 most variable unless named.
    inside : array of bool, shape (spots,), optional
        Only these spots.

    Returns
    -------
    DataFrame
        Indexed by gene, highest first: `I` and, of measured spots, `p_adjusted` (normal approximation,
        Benjamini and Hochberg); a gene that is the same in all of these spots has neither and comes last.

    Raises
    ------
    RegionError
        If fewer than ten spots are left, or they lie too far apart to be neighbours.
    """
    chosen = np.ones(section.table.n_obs, dtype=bool) if inside is None else inside
    if chosen.sum() < _FEWEST_FOR_PATTERN:
        problem = f"{chosen.sum()} spots are too few for Moran's I"
        raise RegionError(problem, where=section.name, remedy="draw a larger region")
    genes = variable_genes(section) if genes is None else genes
    values = log_expression(section, genes)[chosen]
    moran, p = moran_per_gene(values, section.centres_um[chosen], _near(section))
    tested = {"p_adjusted": p} if record_of(section.table).measured else {}
    result = pd.DataFrame({"I": moran, **tested}, index=pd.Index(genes, name="gene"))
    return result.sort_values("I", ascending=False, kind="stable", na_position="last")


def _near(section: Section) -> float:
    """How far neighbours of a section lie apart, in µm."""
    apart = section.spacing_um
    if apart > FARTHEST_UM:
        problem = f"its spots lie {apart:,.0f} µm apart, where none is another's neighbour"
        raise RegionError(problem, where=section.name, remedy=f"take spots within {FARTHEST_UM:g} µm")
    return apart


def gene_moments(section: Section) -> pd.DataFrame:
    """Columns `mean` and `variance` of each gene over spots, of log1p of counts per 10,000."""
    mean, variance = moments(_expression_table(section).X)
    return pd.DataFrame({"mean": mean, "variance": variance}, index=section.genes)


def variable_genes(section: Section) -> list[str]:
    """The 2,000 genes of the largest variance, of those that vary; equals stay in the section's order."""
    variance = gene_moments(section)["variance"].sort_values(ascending=False, kind="stable")
    return [str(gene) for gene in variance.index[variance > 0][:2000]]


def log_expression(section: Section, genes: Sequence[str]) -> Floats:
    """Some genes as log1p of counts per 10,000, predictions as they are, shape (spots, genes).

    Raises `TableError` if the section lacks one.
    """
    known = set(section.genes)
    for gene in genes:
        if gene not in known:
            raise no_gene(gene, section.genes, section.name)
    return np.asarray(dense(_expression_table(section)[:, list(genes)].X), dtype=np.float32)


def _expression_table(section: Section) -> AnnData:
    """A table of log expression and nothing else."""
    import anndata
    from scipy import sparse

    table: Any = section.table
    x = log_cp10k(table.X) if record_of(table).measured else table.X
    if sparse.issparse(x):
        x = sparse.csr_matrix(x)  # scanpy knows no sparse arrays yet
    obs, var = (pd.DataFrame(index=names) for names in (table.obs_names, table.var_names))
    return anndata.AnnData(x, obs=obs, var=var)


def keep_regions(table: AnnData, regions: Sequence[Region]) -> None:
    """Write regions into the table's record as QuPath's GeoJSON; none removes what was there."""
    amend_record(table, regions=regions_text(regions) if regions else "")


def kept_regions(table: AnnData) -> list[Region]:
    """The regions that a table holds; none where it holds none.

    Raises `RegionError` if what it holds is damaged.
    """
    text = record_of(table).regions
    return parse_regions(text.encode(), "the section's own regions") if text else []


def effective_share(
    values: Any,
    centres: ArrayLike,
    first: Mask,
    second: Mask,
    pitch: float,
    *,
    progress: Progress | None = None,
) -> Wide:
    """The share of all spots that independent ones would need for the same certainty, for each gene.

    Neighbours resemble each other. The difference of two means is a sum of values weighted by `w`; its
    variance is `w' R w` times that of a single spot, where independent spots would give `w' w`. `R` holds the
    correlation of two spots by their distance, which each gene's own residuals tell (the variance inflation
    of Clifford, Richardson and Hémon, *Biometrics* 1989).

    `values` (spots, genes) are of all spots of the section: what lies outside both classes tells of their
    likeness too; `centres` (spots, 2): in the unit of `pitch`; `first` and `second` (spots,): the spots of
    both classes; `pitch`: distance of neighbours. Returns (genes,): above 0 and at most 1; 1 for a gene whose
    residuals do not vary.
    """
    places = finite_places(centres) / pitch
    count = len(places)
    weights = first / max(first.sum(), 1) - second / max(second.sum(), 1)
    compared = np.flatnonzero(weights)
    order = np.random.default_rng(0).permutation(count)
    looked = order[weights[order] != 0][:_MOST]
    met = np.array([(weights[looked] * (ring @ weights)).sum() for ring in _rings(places, looked)])
    met *= len(compared) / max(len(looked), 1) / (weights @ weights)
    rows = order[:_SAMPLED]
    rings = _rings(places, rows)
    pairs = np.array([max(ring.nnz, 1) for ring in rings])[:, None]
    shares = np.ones(values.shape[1])
    step = max(1, _VALUES_AT_ONCE // max(count, 1))
    starts = range(0, values.shape[1], step)
    for start in (progress or Progress()).track(starts, "weighing neighbouring spots", len(starts)):
        rest = np.asarray(dense(values[:, start : start + step]), dtype=np.float64)
        for one in (first, second, weights == 0):
            rest[one] -= rest[one].mean(axis=0) if one.any() else 0
        spread = (rest**2).mean(axis=0)
        alike = np.array([(rest[rows] * (ring @ rest)).sum(axis=0) for ring in rings]) / pairs
        alike = np.divide(alike, spread, out=np.zeros_like(alike), where=spread > 0)
        alike *= np.cumprod(alike > 2 / np.sqrt(pairs), axis=0)  # less is chance, as is what comes behind
        shares[start : start + step] = 1 / np.maximum(1 + met @ alike, 1)
    return shares


def _rings(places: Wide, rows: NDArray[np.intp]) -> list[csr_array]:
    """Which spots lie one, two, ... pitches from these rows: ones, shape (rows, spots)."""
    from scipy.sparse import csr_array
    from scipy.spatial import cKDTree

    tree, reach = cKDTree(places), _FARTHEST + 0.5
    found = cKDTree(places[rows]).sparse_distance_matrix(tree, reach, output_type="coo_matrix")
    ring = np.where(found.data > 1e-9, np.rint(found.data).clip(1), 0)
    shape = (len(rows), len(places))
    return [
        csr_array((np.ones(on.sum()), (found.row[on], found.col[on])), shape=shape)
        for on in (ring == distance for distance in range(1, _FARTHEST + 1))
    ]
