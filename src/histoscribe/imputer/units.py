"""A table in the units of an imputer: its genes, its scale, and whose samples they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Mask, Numbers, Wide
from histoscribe.bulk import SCALES, convert
from histoscribe.bulk.table import BulkTable, dense
from histoscribe.errors import SettingError, TableError
from histoscribe.genes import match_genes
from histoscribe.models.standard import Standard

MIN_SAMPLES = 20
_MIN_SEEN = 10
_LIMIT = 12.0
_FAR = 2.5


@dataclass(frozen=True, eq=False)
class UnitTable:
    """A table in a model's units."""

    values: Floats
    """NaN where the table has no value, shape (samples, model genes)."""
    raw: Floats
    """The table's values on the scale of `standard`, shape (samples, table genes)."""
    places: Numbers
    """Column of each model gene in the table; -1 where the table lacks it. Shape (model genes,)."""
    standard: Standard
    """Turns restored values into the scale of the result."""
    adapted: bool
    """Whether the table's own means were taken."""
    notes: tuple[str, ...]
    """What was done and what is doubtful, in plain words."""


def working_scale(scale: str) -> str:
    """The scale that an imputer works on, given the one of its table: logarithms stay as they are."""
    return {"counts": "log1p", "linear": "log2"}.get(scale, scale)


def standard_of(
    genes: tuple[str, ...], mean: NDArray[np.floating], sd: NDArray[np.floating], scale: str
) -> Standard:
    """The units of an imputer: cut at 12 standard deviations, never negative where no log1p is."""
    lowest = 0.0 if scale == "log1p" else None
    return Standard(genes, mean.astype(np.float32), sd.astype(np.float32), scale, _LIMIT, lowest)


def learn_standard(bulk: BulkTable) -> tuple[Standard, Floats, Mask, list[str]]:
    """Choose the genes that can be learned and standardise a training table.

    Gives the units, the values (kept samples, kept genes), which samples have any value (samples,), and
    notes. Raises `TableError` if too few samples or genes are left.
    """
    scale = working_scale(bulk.scale)
    values = convert(dense(bulk.table.X), bulk.scale, scale)
    notes = list(bulk.warnings)
    kept = np.asarray(~np.isnan(values).all(1), dtype=bool)
    if not kept.all():
        notes.append(f"{int((~kept).sum())} samples without any value were left out")
    values = values[kept]
    mean, sd, seen = _moments(values)
    good = (seen >= min(_MIN_SEEN, len(values))) & (sd > 1e-4 * np.maximum(np.abs(mean), 1e-2))
    if not good.all():
        notes.append(f"{int((~good).sum())} genes are constant or almost never measured and were left out")
    if len(values) < MIN_SAMPLES or good.sum() < 2:
        problem = f"{len(values)} samples with {int(good.sum())} genes that vary are too few to learn from"
        remedy = f"give at least {MIN_SAMPLES} samples and 2 genes, or use a trained model"
        raise TableError(problem, where=bulk.name, remedy=remedy)
    genes = tuple(str(gene) for gene in np.asarray(bulk.table.var_names)[good])
    standard = standard_of(genes, mean[good], sd[good], scale)
    return standard, standard.apply(values[:, good]), kept, notes


def standardise(
    bulk: BulkTable, standard: Standard, aliases: dict[str, str], *, adapt: bool | None
) -> UnitTable:
    """Bring a table to a model's genes and units.

    `adapt`: standardise by the table's own means instead of the model's, as another platform needs; by
    default where the scales cannot be brought together, or counts are far from those learned from. Raises
    `TableError` if no gene is shared, or own means cannot be had.
    """
    found = match_genes(standard.genes, [str(name) for name in bulk.table.var_names], aliases)
    if not found:
        theirs, ours = ", ".join(map(str, bulk.table.var_names[:3])), ", ".join(standard.genes[:3])
        raise TableError(
            f"none of its {bulk.table.n_vars:,} genes ({theirs}…) is among the model's "
            f"{len(standard.genes):,} ({ours}…)",
            where=bulk.name,
            remedy="give the same kind of gene names, or train a model on tables like this one",
        )
    notes = [*bulk.warnings, f"{len(found):,} of the model's {len(standard.genes):,} genes are in the table"]
    if len(found) < 10:
        notes.append(f"only {len(found)} observed genes: restored values are little more than averages")
    known = dense(bulk.table.X)
    places = np.array([found.get(gene, -1) for gene in standard.genes], dtype=np.int64)
    there = places >= 0
    raised = bulk.scale in ("counts", "linear") and standard.scale in ("log1p", "log2")
    direct = bulk.scale == standard.scale or raised
    if adapt is None:
        adapt = not direct
        if direct and bulk.scale == "counts" and standard.scale == "log2" and len(known) >= MIN_SAMPLES:
            tried = convert(known, bulk.scale, standard.scale)[:, places[there]]
            adapt = _distance((tried - standard.mean[there]) / standard.sd[there]) > _FAR
            if adapt:
                notes.append("these counts are far from those of the training table (spots? cells?)")
    scale = working_scale(bulk.scale) if adapt else standard.scale
    raw = convert(known, bulk.scale, scale)
    if scale != bulk.scale:
        notes.append(f"values were turned from {SCALES[bulk.scale]} into {SCALES[scale]}")
    own = standard
    if adapt:
        mean, sd = _own_units(raw[:, places[there]], there, standard, bulk.name)
        own = standard_of(standard.genes, mean, sd, scale)
        notes.append(
            "the table was standardised by its own means: restored genes it lacks are on a matched scale"
        )
    values = own.apply(np.where(there, raw[:, places], np.float32(np.nan)))
    if not adapt and _distance(values[:, there]) > _FAR:
        notes.append(
            "most values lie far from those of the training table: another platform? then standardise by the "
            "table's own means (adapt)"
        )
    return UnitTable(values, raw, places, own, adapt, tuple(notes))


def _moments(values: Floats) -> tuple[Wide, Wide, Numbers]:
    """Mean and standard deviation of each gene's known values, and how many there are (0 and 0 of none)."""
    holes = np.isnan(values)
    seen = (~holes).sum(0)
    filled = np.where(holes, 0, values).astype(np.float64)
    mean = filled.sum(0) / np.maximum(seen, 1)
    return mean, np.sqrt(np.where(holes, 0, (filled - mean) ** 2).sum(0) / np.maximum(seen, 1)), seen


def _distance(values: Floats) -> float:
    """Median distance from the training means, in standard deviations."""
    known = np.abs(values[~np.isnan(values)])
    return float(np.median(known)) if known.size else 0.0


def _own_units(observed: Floats, there: Mask, standard: Standard, where: str) -> tuple[Floats, Floats]:
    """Means and deviations of the table's own, and for genes it lacks those of the model brought to them."""
    if len(observed) < MIN_SAMPLES:
        problem = f"{len(observed)} samples are too few to standardise a table by its own means"
        remedy = f"give at least {MIN_SAMPLES} samples, or {SCALES[standard.scale]}"
        raise TableError(problem, where=where, remedy=remedy)
    own_mean, own_sd, _ = _moments(observed)
    ratio = float(np.median(own_sd / standard.sd[there])) or 1.0
    if there.sum() > 2:
        slope, offset = np.polyfit(standard.mean[there], own_mean, 1)
    else:
        slope, offset = 1.0, float(np.mean(own_mean - standard.mean[there]))
    mean = (slope * standard.mean + offset).astype(np.float32)
    sd = (ratio * standard.sd).astype(np.float32)
    mean[there], sd[there] = own_mean, np.where(own_sd > 1e-6, own_sd, sd[there])
    return mean, sd


def groups_of(bulk: BulkTable, patients: Sequence[str] | str | None) -> list[str]:
    """The patient of each sample, as given or named by a column; a sample whose patient is not known stands
    for itself."""
    table = bulk.table
    if patients is None:
        patients = table.obs.get("patient", table.obs_names)
    elif isinstance(patients, str):
        if patients not in table.obs:
            remedy = f"it has {', '.join(map(str, table.obs.columns))}"
            raise SettingError(f"the table has no column {patients}", remedy=remedy)
        patients = table.obs[patients]
    elif len(patients) != table.n_obs:
        problem = f"{len(patients)} patients were given for {table.n_obs} samples"
        raise TableError(problem, where=bulk.name, remedy="give one for each sample")
    pairs = zip(table.obs_names, patients, strict=True)
    return [str(name if pd.isna(one) or not str(one).strip() else one) for name, one in pairs]


def aliases_of(bulk: BulkTable, standard: Standard) -> dict[str, str]:
    """Ensembl ids (or symbols) that the training table holds beside its gene names."""
    aliases: dict[str, str] = {}
    genes = set(standard.genes)
    for column in ("gene_ids", "ensembl", "symbol", "gene_symbols"):
        if column in bulk.table.var:
            pairs = zip(bulk.table.var[column].astype(str), bulk.table.var_names.astype(str), strict=True)
            aliases.update(
                {other.split(".")[0]: gene for other, gene in pairs if gene in genes and other != gene}
            )
    return aliases
