"""What a generator learns from: primaries, normal tissues and metastases, and whose they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Numbers
from histoscribe.bulk import SCALES
from histoscribe.bulk.reading import read_table
from histoscribe.bulk.samples import file_beside, with_samples
from histoscribe.bulk.table import BulkTable, as_table, dense
from histoscribe.errors import TableError

if TYPE_CHECKING:
    from anndata import AnnData

KINDS = ("primary", "normal", "metastasis")
COLUMNS = ("sample_type", "cancer", "site", "patient")
_NEEDED = (("primary", "cancer"), ("metastasis", "cancer"), ("metastasis", "site"), ("normal", "site"))
_LEAST_COMMON = 50
_UNKNOWN = ("nan", "none", "na")
_BY_SAMPLE = ("values", "kinds", "cancers", "sites", "patients", "names", "purity")
_KIND_WORDS = {
    **dict.fromkeys(("primary", "primary_tumor", "primary_tumour", "tumor", "tumour", "01"), "primary"),
    "primary_solid_tumor": "primary",
    **dict.fromkeys(("normal", "solid_tissue_normal", "normal_tissue", "11"), "normal"),
    **dict.fromkeys(("metastasis", "metastatic", "met", "06"), "metastasis"),
}


@dataclass(frozen=True, eq=False)
class Cohort:
    """Samples on the generator's scale, log2 of abundance, nothing below 0."""

    values: Floats
    """No NaN: what was not detected is 0. Shape (samples, genes)."""
    genes: tuple[str, ...]
    kinds: NDArray[np.str_]
    """Each one of `KINDS`, shape (samples,)."""
    cancers: NDArray[np.str_]
    """Of primaries and metastases; empty for normal tissue. Shape (samples,)."""
    sites: NDArray[np.str_]
    """The organ of a normal tissue or of a metastasis; empty for primaries. Shape (samples,)."""
    patients: NDArray[np.str_]
    """Shape (samples,)."""
    names: NDArray[np.str_]
    """Shape (samples,)."""
    notes: tuple[str, ...] = ()
    """What was done and what is doubtful, in plain words."""
    purity: Floats = field(default_factory=lambda: np.empty(0, dtype=np.float32))
    """Known share of tumour in metastases, by default unknown: NaN, and estimated. Shape (samples,)."""

    def __post_init__(self) -> None:
        if not len(self.purity):
            object.__setattr__(self, "purity", np.full(len(self.values), np.nan, dtype=np.float32))

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[Any]) -> Cohort:
        """Some of the samples, by index or mask."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _BY_SAMPLE})

    def of(self, kind: str, *, cancer: str | None = None, site: str | None = None) -> Numbers:
        """Indices of samples of one kind, of one cancer or site where named."""
        wanted = self.kinds == kind
        if cancer is not None:
            wanted = wanted & (self.cancers == cancer)
        if site is not None:
            wanted = wanted & (self.sites == site)
        return np.flatnonzero(wanted)


def join(parts: Sequence[Cohort]) -> Cohort:
    """Cohorts of the same genes, one below the other."""
    whole: dict[str, Any] = {k: np.concatenate([getattr(part, k) for part in parts]) for k in _BY_SAMPLE}
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    return replace(parts[0], notes=notes, **whole)


def join_platforms(cohort: Cohort, other: Cohort) -> Cohort:
    """Cohorts of two platforms on their common genes; each sample of the other is mapped by rank.

    Raises `TableError` if they have hardly any gene in common.
    """
    theirs = set(other.genes)
    common = [gene for gene in cohort.genes if gene in theirs]
    if len(common) < _LEAST_COMMON:
        remedy = "give tables with the same gene names (a probe map turns Ensembl ids into symbols)"
        raise TableError(f"the two cohorts have {len(common)} genes in common", remedy=remedy)
    parts = []
    for one in (cohort, other):
        places = {gene: place for place, gene in enumerate(one.genes)}
        values = one.values[:, [places[gene] for gene in common]]
        parts.append(replace(one, values=values, genes=tuple(common)))
    steps = np.sort(parts[0].values, axis=1).mean(0)
    ranks = parts[1].values.argsort(1, kind="stable").argsort(1, kind="stable")
    mapped = replace(parts[1], values=np.asarray(steps[ranks], dtype=np.float32))
    whole = join([parts[0], mapped])
    note = "two platforms: what tells them apart is learned as if it belonged to metastases"
    return replace(whole, notes=(*whole.notes, f"{len(common):,} genes are common to both cohorts", note))


def read_metastasis_cohort(
    table: str | PathLike[str], samples: str | PathLike[str] | None = None, *, scale: str | None = None
) -> Cohort:
    """Read a table of expression and what its samples are.

    Parameters
    ----------
    table : path
        CSV, TSV, GCT or h5ad.
    samples : path, optional
        CSV with sample names in its first column and the columns `sample_type`, `cancer`, `site`, `patient`;
        without it the file beside the table (`x.meta.csv`) or an h5ad's own `obs`.
    scale : str, optional
        A key of `histoscribe.bulk.SCALES`; recognised where not given.

    Raises
    ------
    TableError
        If a file cannot be used or a column is missing.
    """
    beside = Path(samples) if samples is not None else file_beside(Path(table))
    return cohort_of(with_samples(read_table(table, scale=scale), beside))


def cohort_of(table: AnnData | BulkTable) -> Cohort:
    """A cohort from a table whose `obs` has `sample_type`, `cancer`, `site` and `patient`.

    `sample_type` is `primary`, `normal` or `metastasis` (`primary_tumor`, `solid_tissue_normal` and
    `metastatic` are understood). `cancer` may be empty for normal tissue and `site` for primaries. A
    column `purity`, the share of tumour in a metastasis, is used where it is there.

    Raises
    ------
    TableError
        If a column is missing, a kind is unknown, a needed name is empty, or the scale cannot be used.
    """
    bulk = table if isinstance(table, BulkTable) else as_table(table)
    obs = bulk.table.obs
    missing = [name for name in COLUMNS if name not in obs]
    if missing:
        remedy = f"give a table of samples with {', '.join(COLUMNS)}"
        raise TableError(f"the samples have no column {', '.join(missing)}", where=bulk.name, remedy=remedy)
    words = [re.sub("[ -]", "_", str(value).strip().lower()) for value in obs["sample_type"]]
    unknown = sorted({word for word in words if word not in _KIND_WORDS})
    if unknown:
        problem = f"{', '.join(map(repr, unknown[:3]))} is no sample_type"
        raise TableError(problem, where=bulk.name, remedy=f"use {', '.join(KINDS)}")
    kinds = np.array([_KIND_WORDS[word] for word in words], dtype=str)
    said_of = {}
    for name in ("cancer", "site", "patient"):
        texts = [str(value).strip() for value in obs[name]]
        said_of[name] = np.array(["" if text.lower() in _UNKNOWN else text for text in texts], dtype=str)
    for kind, column in _NEEDED:
        bare = (kinds == kind) & (said_of[column] == "")
        if bare.any():
            problem = f"{bare.sum()} samples that are {kind} have no {column}, {obs.index[bare][0]} first"
            raise TableError(problem, where=bulk.name, remedy="fill that column, or leave those samples out")
    values, notes = to_log2(bulk)
    purity = pd.to_numeric(obs.get("purity", pd.Series(np.nan, obs.index)), errors="coerce")
    purity = purity.to_numpy(dtype=np.float32)
    if ((purity <= 0) | (purity > 1)).any():
        remedy = "give the share of tumour, 0.7 for 70 %"
        raise TableError("a purity is not above 0 and at most 1", where=bulk.name, remedy=remedy)
    genes, names = tuple(map(str, bulk.table.var_names)), np.array(list(map(str, bulk.table.obs_names)))
    cancers = np.where(kinds == "normal", "", said_of["cancer"])
    sites, said = np.where(kinds == "primary", "", said_of["site"]), (*bulk.warnings, *notes)
    return Cohort(values, genes, kinds, cancers, sites, said_of["patient"], names, said, purity)


def to_log2(bulk: BulkTable) -> tuple[Floats, list[str]]:
    """Values on the generator's scale, and what was done.

    Raises `TableError` if the values are already centred, so that abundances cannot be had from them.
    """
    values = dense(bulk.table.X)
    if bulk.scale == "standardised":
        problem = f"the values are {SCALES[bulk.scale]}: abundances cannot be had from them"
        raise TableError(problem, where=bulk.name, remedy="give counts, TPM or log2 values")
    notes = []
    lost = int(np.isnan(values).sum())
    if lost:
        notes.append(f"{lost:,} missing values were taken as not detected (0)")
    values = np.asarray(np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0), dtype=np.float32)
    if bulk.scale == "log1p":
        values = np.asarray(np.log2(np.expm1(values) * 100 + 1), dtype=np.float32)
    elif bulk.scale in ("counts", "linear"):
        if bulk.scale == "counts":
            total = values.sum(1, keepdims=True)
            values = np.asarray(values / np.where(total > 0, total, 1) * 1e6, dtype=np.float32)
        values = np.asarray(np.log2(values + 1), dtype=np.float32)
    return np.maximum(values, 0).astype(np.float32), notes
