"""A table of samples and genes: checked, its genes named and its scale known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoscribe.bulk.layouts import COUNT_LAYERS
from histoscribe.bulk.scales import SCALES, recognise_scale
from histoscribe.errors import SettingError, TableError
from histoscribe.genes.identifiers import clean_names, date_words, name_doubts
from histoscribe.record import record_of

if TYPE_CHECKING:
    from anndata import AnnData

_DOUBTFUL = 0.15


@dataclass(frozen=True, eq=False)
class BulkTable:
    """Samples by genes, ready to be used."""

    name: str
    """The file's name without its ending."""
    table: AnnData
    """`X` float32, shape (samples, genes), NaN where not measured; unique clean gene names."""
    scale: str
    """A key of `histoscribe.bulk.SCALES`."""
    identifiers: str
    """`symbol`, `ensembl` or `entrez`."""
    warnings: tuple[str, ...] = ()
    """Everything doubtful about it and everything that was done to it, in plain words."""


class HoldsTable(Protocol):
    """What has a name and a table: a section."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def table(self) -> AnnData:
        """Spots by genes."""
        ...


Table: TypeAlias = "AnnData | BulkTable | HoldsTable"
"""What the imputer and the generator take."""


def bulk_of(table: Table) -> BulkTable:
    """A checked table, whatever was given.

    Raises
    ------
    TableError
        If its genes or values cannot be used.
    """
    if isinstance(table, BulkTable):
        return table
    inner: AnnData = getattr(table, "table", table)
    own = record_of(inner)
    scale = None if own.kind is None else own.values or None
    return as_table(inner, name=str(getattr(table, "name", "table")), scale=scale)


def as_table(
    table: AnnData, *, name: str = "table", scale: str | None = None, renamed: Mapping[str, str] | None = None
) -> BulkTable:
    """Check an AnnData of samples or spots and bring it to the form of `BulkTable`.

    Gene names are cleaned; genes of one name are collapsed: summed where values are counts or
    abundances, else the one with the highest mean is kept.

    Raises
    ------
    TableError
        If it has no samples or genes, or its values make no sense.
    """
    from anndata import AnnData

    if 0 in table.shape:
        problem = f"there are {table.n_obs} samples and {table.n_vars} genes"
        raise TableError(problem, where=name, remedy="check the file")
    said: list[str] = []
    values = dense(table.X)
    known = scale or recognise_scale(values, where=name)
    if known not in SCALES:
        raise SettingError(f"{known!r} is no scale", where=name, remedy=f"use one of {', '.join(SCALES)}")
    if known == "counts" and (values < 0).any():
        raise TableError("some counts are negative", where=name, remedy="give raw counts, or name the scale")
    if scale is None:
        doubt = known == "log2" and (values < 0).mean() > _DOUBTFUL
        hint = "; many are negative: if genes were centred, say --scale standardised" if doubt else ""
        said.append(f"values were taken as {SCALES[known]}{hint}")
        if known == "log1p" and np.isin(values[~np.isnan(values)], (0, 1)).all():
            said.append("every value is 0 or 1: are they yes and no, not expression?")
    given = [(renamed or {}).get(str(gene), str(gene)) for gene in table.var_names]
    clean = clean_names(given)
    said += date_words(clean)
    said += name_doubts(clean.names)
    named = [bool(gene) and gene.lower() != "nan" for gene in clean.names]
    if not any(named):
        raise TableError("no gene has a name", where=name, remedy="write names beside the values")
    if not all(named):
        said.append(f"{named.count(False)} genes without a name were left out")
        table, values = table[:, named], values[:, named]
    names_of = [gene for gene, has_one in zip(clean.names, named, strict=True) if has_one]
    values, names, kept, doubled = _collapse(values, names_of, summed=known in ("counts", "linear"))
    if doubled:
        rule = "summed" if known in ("counts", "linear") else "the one with the highest mean was kept"
        said.append(f"{doubled} gene names occurred more than once: {rule}")
    empty = int(np.isnan(values).all(1).sum())
    if empty:
        said.append(f"{empty} of {len(values)} samples have no value at all")
    fresh = AnnData(
        values, obs=table.obs.copy(), var=table.var.iloc[kept].set_axis(names), obsm=dict(table.obsm)
    )
    if not fresh.obs_names.is_unique:
        said.append("sample names occurred more than once and were numbered")
        fresh.obs_names_make_unique()
    return BulkTable(name, fresh, known, clean.kind, tuple(said))


def counts_beside(table: AnnData) -> tuple[AnnData, str] | None:
    """The table with counts that stand beside `X`: in a layer so called, `raw`, or the fullest layer that
    holds some; and words about it. None without any."""
    layers = {name: each for name, each in table.layers.items() if name is not None and are_counts(each)}
    called = next((name for name in layers if name.lower() in COUNT_LAYERS), None)
    in_raw = table.raw is not None and are_counts(table.raw.X)
    if called is None and layers and not in_raw:
        called = max(layers, key=lambda name: float(layers[name].sum()))
    if called is not None:
        table.X = layers[called]
        return table, f'X holds no raw counts; layers["{called}"] was taken'
    if not in_raw:
        return None
    whole = table.raw.to_adata()
    for column in table.var.columns.difference(whole.var.columns):
        whole.var[column] = table.var[column].reindex(whole.var_names)
    whole.uns = table.uns
    return whole, "X holds no raw counts; raw was taken"


def are_counts(matrix: Any) -> bool:
    """Whether values are whole and more than yes and no."""
    values = np.asarray(matrix.data if hasattr(matrix, "tocsr") else matrix)
    if not values.size or values.dtype.kind not in "fiu" or not (np.isfinite(values) & (values >= 0)).all():
        return False
    return bool((np.abs(values - np.rint(values)) <= 1e-3).all() and values.max() > 1)


def dense(values: Any) -> NDArray[np.float32]:
    """Values as a dense float32 array, row by row; masked and sparse ones are opened."""
    return np.ascontiguousarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float32)


def _collapse(
    values: NDArray[np.float32], names: Sequence[str], *, summed: bool
) -> tuple[NDArray[np.float32], list[str], NDArray[np.int64], int]:
    """One column for each name, the names, the column that each is described by, how many were doubled."""
    codes, unique = pd.factorize(np.asarray(names, dtype=object))
    kept = np.unique(codes, return_index=True)[1].astype(np.int64)
    doubled = np.flatnonzero(np.bincount(codes) > 1)
    result = values[:, kept]
    for column in doubled:
        group = np.flatnonzero(codes == column)
        several = values[:, group]
        missing = np.isnan(several)
        if summed:
            result[:, column] = np.where(missing.all(1), np.nan, np.nansum(several, axis=1))
        else:
            means = np.where(missing, 0, several).sum(0) / np.maximum((~missing).sum(0), 1)
            best = int(np.argmax(np.where(missing.all(0), -np.inf, means)))
            result[:, column], kept[column] = several[:, best], group[best]
    return result, [str(name) for name in unique], kept, len(doubled)
