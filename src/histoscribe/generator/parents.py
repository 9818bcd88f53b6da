"""Parents: brought to a model's genes and scale as the user has them, and mixed as tissue mixes."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Mask, Numbers
from histoscribe.bulk import SCALES
from histoscribe.bulk.table import BulkTable, Table, as_table, bulk_of
from histoscribe.errors import RegionError, TableError
from histoscribe.generator.cohort import to_log2
from histoscribe.genes import match_genes
from histoscribe.record import record_of
from histoscribe.section import Section

MOST_MISSING = 0.2
PURITIES = np.linspace(0.1, 1.0, 19, dtype=np.float32)
_LEVEL = 1.0


@dataclass(frozen=True, eq=False)
class Parents:
    """Profiles of primaries or of normal tissues on a model's scale."""

    values: Floats
    """log2 of abundance, whole, shape (samples, model genes)."""
    names: tuple[str, ...]
    scale: str
    """What the table was, a key of `histoscribe.bulk.SCALES`."""
    notes: tuple[str, ...]
    """What was done and what is doubtful, in plain words."""


def pseudo_bulk(section: Section, rows: Mask | None = None, *, name: str = "") -> BulkTable:
    """One profile from the spots of a section: the sum of counts, or the mean of predicted abundances.

    Parameters
    ----------
    rows : array of bool, shape (spots,), optional
        Which spots; all by default.
    name : str
        Of the profile; the section's own by default.

    Raises
    ------
    RegionError
        If no spot is among them.
    """
    from anndata import AnnData

    table = section.table if rows is None else section.table[rows]
    name = name or section.name
    if not table.n_obs:
        remedy = "draw it around spots of the chosen layer"
        raise RegionError("no spot lies in this region", where=name, remedy=remedy)
    scale = record_of(section.table).values
    layer = table.layers.get("restored", table.X)
    values = layer.toarray() if hasattr(layer, "toarray") else np.asarray(layer)
    if scale == "log1p":
        known = ~np.isnan(values)
        abundance = np.where(known, np.expm1(values), 0).sum(0) / np.maximum(known.sum(0), 1)
        profile = np.where(known.any(0), np.log1p(np.maximum(abundance, 0)), np.nan)
    else:
        profile = np.nansum(values, axis=0)
    one = AnnData(profile[None].astype(np.float32), obs=pd.DataFrame(index=[name]), var=table.var[[]].copy())
    return as_table(one, name=name, scale=scale or "counts")


def bring(table: Table, genes: tuple[str, ...], reference: Floats, *, adapt: bool | None = None) -> Parents:
    """Bring a table to a model's genes and scale.

    `reference` (genes,): mean profile of the cohort that the model learned from, which stands in for the few
    genes that the table lacks. `adapt`: map each profile's values to those of the reference, rank by rank, as
    another platform needs; by default where the scale is not log2 or its level differs by more than 1. Raises
    `TableError` if more than 20 % of the genes are missing, or nothing is known of a sample.
    """
    from scipy.stats import rankdata

    bulk = bulk_of(table)
    found = match_genes(genes, [str(name) for name in bulk.table.var_names])
    places = np.array([found.get(gene, -1) for gene in genes])
    there = places >= 0
    raw = np.asarray(bulk.table.X)
    there[there] = ~np.isnan(raw[:, places[there]]).all(0)
    lacking = int((~there).sum())
    if lacking > MOST_MISSING * len(genes):
        raise TableError(
            f"{lacking:,} of the model's {len(genes):,} genes are missing, more than may be filled "
            f"({MOST_MISSING:.0%})",
            where=bulk.name,
            remedy="restore them by the imputer first (Restore missing genes, or histoscribe impute)",
        )
    if np.isnan(raw[:, places[there]]).all(1).any() or (np.nan_to_num(raw).max(1) <= 0).any():
        raise TableError("a sample has no value of any model gene", where=bulk.name, remedy="leave it out")
    measured, notes = to_log2(bulk)
    values = np.repeat(reference[None], len(measured), 0)
    values[:, there] = measured[:, places[there]]
    notes = [*bulk.warnings, *notes]
    if lacking:
        notes.append(f"{lacking:,} of {len(genes):,} genes are missing and stand at the cohort's mean")
    level = float(np.abs(np.median(values[:, there]) - np.median(reference[there])))
    if adapt is None:
        adapt = bulk.scale != "log2" or level > _LEVEL
    if adapt:
        ranks = rankdata(values[:, there], axis=1) - 1  # ties by their mean
        values[:, there] = np.interp(ranks, np.arange(there.sum()), np.sort(reference[there]))
        notes.append(f"values ({SCALES[bulk.scale]}) were mapped to the cohort's scale, rank by rank")
    names = tuple(map(str, bulk.table.obs_names))
    return Parents(np.maximum(values, 0).astype(np.float32), names, bulk.scale, tuple(notes))


def mix(tumour: Floats, normal: Floats, purity: Floats) -> Floats:
    """log2 of `purity · 2^tumour + (1 − purity) · 2^normal`: purities (samples,), the rest (samples,
    genes)."""
    share = np.asarray(purity, dtype=np.float32)[:, None]
    return np.asarray(np.log2(share * np.exp2(tumour) + (1 - share) * np.exp2(normal)), dtype=np.float32)


def draw_of(
    classes: NDArray[np.generic], wanted: NDArray[np.generic], random: np.random.Generator
) -> Numbers:
    """The row of a random sample of each class that is wanted, among samples of these classes."""
    rows = {name: np.flatnonzero(classes == name) for name in np.unique(wanted)}
    return np.array([random.choice(rows[name]) for name in wanted])


def estimate_purity(metastases: Floats, tumour: Floats, normal: Floats) -> Floats:
    """The share of tumour at which a mixture of two mean profiles lies nearest.

    Only the genes in which the two differ most tell it apart: the 300 with the largest difference.
    Distances are absolute, so that a programme that neither parent has weighs little.

    `metastases` (samples, genes): all of one cancer and one site; `tumour` and `normal` (genes,): mean
    primary and mean normal tissue. Returns (samples,): of `PURITIES`.
    """
    telling = np.argsort(-np.abs(tumour - normal))[:300]
    grid = mix(tumour[telling], normal[telling], PURITIES)
    away = np.stack([np.abs(metastases[:, telling] - one).mean(1) for one in grid], axis=1)
    return np.asarray(PURITIES[away.argmin(1)], dtype=np.float32)
