"""What a table holds, wherever it holds it: its counts, its symbols, its places, and whose they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoscribe.bulk.layouts import genes_of
from histoscribe.bulk.table import counts_beside
from histoscribe.errors import SectionError, told_as
from histoscribe.rows import is_lazy
from histoscribe.section.lattice import growth_between
from histoscribe.section.scale import COSMX_PLACES, PLACES_IN_UM, numbers_of
from histoscribe.section.table import (
    clear_names,
    count_problems,
    examples,
    flags_of,
    repeated,
    unique_genes,
)

if TYPE_CHECKING:
    from anndata import AnnData

_SYMBOLS = (
    "feature_name", "gene_symbols", "gene_symbol", "symbol", "gene_name", "gene_names", "gene_short_name",
    "hgnc_symbol", "mgi_symbol", "external_gene_name", "genename", "genesymbol", "symbols", "features",
    "gene", "genes", "name",
)  # fmt: skip
_IDENTIFIER = re.compile(r"\d+|[A-Z]+\d{6,}(\.\d+)?(_PAR_Y)?")
_PLACES = (
    ("pxl_col_in_fullres", "pxl_row_in_fullres"),
    ("x_centroid", "y_centroid"),
    ("center_x", "center_y"),
    COSMX_PLACES,
    *PLACES_IN_UM,
    ("pixel_x", "pixel_y"),
    ("imagecol", "imagerow"),
    ("x", "y"),
    ("array_col", "array_row"),
)
_BASES = re.compile(r"[ACGT]{14,}")
_FIELD_PX = 6000.0
"""More than a field of view of CosMx is wide."""
_BOXES, _LAYERS = 60, 1000
_EVEN = 0.95
_AT_ONE = 5
_OWNERS = ("library_id", "sample_id", "sample", "section_id", "section", "batch")


def library_of(table: AnnData, path: Path) -> tuple[str | None, Mapping[str, Any], list[str]]:
    """The name of the one section that a table holds, its part of `uns["spatial"]`, and what is doubtful.

    Raises `SectionError` if spots of several sections are among them.
    """
    spatial = table.uns.get("spatial")
    spatial = spatial if isinstance(spatial, Mapping) else {}
    flat = "images" in spatial or "scalefactors" in spatial
    libraries = {} if flat else {str(key): each for key, each in spatial.items() if isinstance(each, Mapping)}
    drawn = {
        key: each for key, each in libraries.items() if not each or {"images", "scalefactors"} & set(each)
    }
    libraries = drawn or libraries  # what else stands beside them is no section
    if len(libraries) > 1 and {"fov", *COSMX_PLACES} <= set(table.obs.columns):
        of_fields = set(map(str, table.obs["fov"].unique())) <= libraries.keys()
        libraries = {} if of_fields else libraries
    if len(libraries) > 1:
        named = [set(map(str, table.obs[key].unique())) for key in _OWNERS if key in table.obs]
        present = next((names & libraries.keys() for names in named if names & libraries.keys()), set())
        if len(present) != 1:
            raise _several(f"{len(libraries)} sections ({examples(sorted(libraries))})", path)
        libraries = {name: libraries[name] for name in present}
    doubts = _refuse_joined(table, path)
    name, entry = next(iter(libraries.items()), (None, spatial if flat else {}))
    return name, entry, doubts


def _refuse_joined(table: AnnData, path: Path) -> list[str]:
    """Refuse spots of several sections, joined into one table, on top of one another; doubt those beside."""
    owners = [name for name in _OWNERS if name in table.obs and 1 < table.obs[name].nunique() <= 1000]
    places = np.asarray(table.obsm["spatial"])
    names = table.obs_names
    if not any(map(_BASES.search, map(str, names[:: max(1, len(names) // 1000)]))):
        names = names[:0]  # none of a thousand holds a barcode
    bases = [match[0] for match in map(_BASES.search, map(str, names)) if match]
    apart = len(places) - int(pd.DataFrame(places).duplicated().sum())
    shared = {"barcode": len(bases) - len(set(bases)), "place": len(places) - apart if apart > 1 else 0}
    array = {"array_row", "array_col"} <= set(table.obs.columns)
    if array:
        again = table.obs.duplicated(["array_row", "array_col"]) & table.obs["array_row"].notna()
        shared["place in the array"] = int(again.sum())
    what = max(shared, key=lambda name: (shared[name], name))
    if shared[what] > 0.05 * table.n_obs:
        by = f', by obs["{owners[0]}"]' if owners else ""
        raise _several(f"several sections: {shared[what]} spots share their {what}{by}", path)
    most = int(pd.DataFrame(places).value_counts().max()) if shared["place"] else 0
    doubts = [f"{most} spots lie at one place: are these without one?"] if most >= _AT_ONE else []
    if array:
        return doubts
    for name in owners:
        boxes = []
        for rows in table.obs.groupby(name, observed=True).indices.values():
            inside = places[rows][np.isfinite(places[rows]).all(axis=1)]
            if len(inside):
                boxes.append((inside.min(axis=0), inside.max(axis=0)))
        if any(_overlap(*pair) > 0.5 for pair in combinations(boxes[:_BOXES], 2)):
            raise _several(f'several sections on top of one another, by obs["{name}"]', path)
        if not any(_overlap(*pair) for pair in combinations(boxes[:_BOXES], 2)):
            doubts.append(f'obs["{name}"] names {len(boxes)} of them, which lie apart: is this one section?')
    return doubts


def _overlap(one: tuple[Any, Any], other: tuple[Any, Any]) -> float:
    shared = np.clip(np.minimum(one[1], other[1]) - np.maximum(one[0], other[0]), 0, None)
    smaller = min(np.prod(one[1] - one[0]), np.prod(other[1] - other[0]))
    return float(np.prod(shared) / smaller) if smaller > 0 else 0.0


def _several(what: str, path: Path) -> SectionError:
    return SectionError(f"holds {what}", where=path, remedy="write each of them into a file of its own")


def with_places(table: AnnData, path: Path) -> tuple[AnnData, list[str]]:
    """The table with `obsm["spatial"]` of two columns; spots without a place are left out and named.

    Raises `SectionError` if there are no positions, or too few.
    """
    warnings = []
    held = {str(key).lower(): key for key in reversed(list(table.obsm))}
    key = next((held[name] for name in ("spatial", "x_spatial", "spatialcoords") if name in held), None)
    if key is not None:
        found = np.asarray(_in_order(table.obsm[key]))
        if found.dtype.kind in "OSU":  # as a table of words
            with suppress(ValueError, TypeError):
                found = found.astype(np.float64)
        if found.ndim != 2 or found.shape[1] < 2 or found.dtype.kind not in "iuf":
            raise SectionError(
                f'obsm["spatial"] is {found.shape} {found.dtype}, not spots × (x, y) in pixels', where=path
            )
        spatial = found[:, :2].astype(np.float64)
        if (whole := numbers_of(table, COSMX_PLACES)) is not None:
            in_field = np.ptp(np.nan_to_num(spatial), axis=0).max() < _FIELD_PX
            if in_field and growth_between(whole, whole) and growth_between(whole, spatial) is None:
                spatial = whole
                warnings.append("positions within fields of view were left for those on the whole slide")
        heights = np.unique(found[:, 2:3])
        if 1 < len(heights) <= min(_LAYERS, len(found) / 10):
            raise _several(f"{len(heights)} layers, one over the other (the third column of positions)", path)
        if len(heights) > 1:
            warnings.append("the third column of positions, their height, was left out")
    else:
        columns = {str(name).lower(): name for name in reversed(list(table.obs))}
        there = (pair for pair in _PLACES if {name.lower() for name in pair} <= set(columns))
        pair = [columns[name.lower()] for name in next(there, ())]
        with told_as(SectionError, "positions in obs are no numbers", TypeError, ValueError, where=path):
            stated = table.obs[pair].to_numpy(dtype=np.float64) if pair else None
        if stated is None:
            problem = 'the spots have no positions: there is no obsm["spatial"]'
            remedy = "write it with squidpy, or open the Space Ranger folder"
            raise SectionError(problem, where=path, remedy=remedy)
        spatial = stated
        warnings.append(f'there is no obsm["spatial"]; positions are obs {examples(pair)}')
    array = numbers_of(table, _PLACES[-1])
    if array is not None and any(
        np.array_equal(spatial, each, equal_nan=True) for each in (array, array[:, ::-1])
    ):
        spatial = array
        even = spatial.sum(axis=1) % 2 == 0  # of a hexagonal lattice every other place is there
        if np.mean(even) > _EVEN:
            spatial[:, 1] *= 3**0.5
        warnings.append("these are numbers of the array, with no place on a slide")
    known: NDArray[np.bool_] = np.asarray(np.isfinite(spatial).all(axis=1))
    if 2 * known.sum() < len(known):
        raise SectionError(
            f'obsm["spatial"] holds missing values for {len(known) - int(known.sum())} of {len(known)}',
            where=path,
        )
    if not known.all():
        lost = [str(name) for name in table.obs_names[~known]]
        warnings.append(f"spots without a position were left out ({len(lost)}): {examples(lost)}")
        table = table[known].copy()
    table.obsm["spatial"] = spatial[known]
    return table, warnings


def _in_order(held: Any) -> Any:
    """Positions as (x, y) where a table's columns say which is which; else as they are."""
    named = {str(name).lower(): name for name in getattr(held, "columns", ())}
    pair = next((pair for pair in _PLACES if {name.lower() for name in pair} <= set(named)), None)
    return held if pair is None else held[[named[name.lower()] for name in pair]]


def with_expression(table: AnnData, measured: bool, path: Path) -> tuple[AnnData, list[str]]:
    """The table's spots on tissue, with counts in `X` where it was measured and symbols as names.

    Raises `SectionError` if values or names cannot be used.
    """
    from scipy.sparse import csr_matrix, issparse

    if not table.obs_names.is_unique:
        twice = repeated([str(name) for name in table.obs_names])
        raise SectionError(
            f"spots named twice: {examples(twice)}", where=path, remedy="make obs_names unique"
        )
    warnings: list[str] = []
    if "in_tissue" in table.obs:
        told = table.obs["in_tissue"].notna().to_numpy()
        on_tissue = flags_of(table.obs["in_tissue"].astype(object).where(told, 0).to_numpy())
        if on_tissue is None:
            raise SectionError('obs["in_tissue"] holds something other than 0 and 1', where=path)
        if not told.all():
            lost = [str(name) for name in table.obs_names[~told]]
            warnings.append(f"spots that may or may not lie on tissue were left out: {examples(lost)}")
        table = table if on_tissue.all() else table[on_tissue].copy()
    table.obs["in_tissue"] = True
    if 0 in table.shape:
        problem = f"the section is empty ({table.n_obs} spots, {table.n_vars} genes)"
        raise SectionError(problem, where=path, remedy="name a section with spots on tissue")
    if measured:
        table, empty = _with_values(table)
        table, said = _with_counts(table, path)
        kept, others = genes_of(table.var)
        if not kept:
            raise SectionError(others, where=path, remedy="name the table of the gene expression library")
        table = table[:, kept].copy() if others else table
        warnings += [*empty, *said, *filter(None, [others])]
        table.X = csr_matrix(table.X, dtype=np.float32)
    elif not is_lazy(table.X):
        if table.X is None:
            raise SectionError("there are no values in X", where=path, remedy="write it again with X")
        values = table.X
        errors, _ = count_problems(abs(values) if values.dtype.kind in "fiu" else values)
        if errors:
            raise SectionError("; ".join(errors), where=path, remedy="give the raw counts")
        if not issparse(table.X):
            table.X = np.asarray(table.X, dtype=np.float32)
    return table, [*warnings, *_name_genes(table)]


def _with_counts(table: AnnData, path: Path) -> tuple[AnnData, list[str]]:
    """Counts from `X`, a layer so called, `raw`, or the fullest layer that holds counts, in this order."""
    if table.X is None:
        errors, doubts = ["there are no values in X, nor counts anywhere else"], list[str]()
    else:
        errors, doubts = count_problems(table.X)
    if not errors and not doubts:
        return table, []
    if beside := counts_beside(table):
        return beside[0], [beside[1]]
    if errors:
        raise SectionError("; ".join(errors), where=path, remedy="give the raw counts")
    return table, doubts


def _with_values(table: AnnData) -> tuple[AnnData, list[str]]:
    """The table without genes and spots that have no value at all, as joined tables have them."""
    if table.X is None or hasattr(table.X, "tocsr") or table.X.dtype.kind != "f":
        return table, []
    missing = np.isnan(table.X)
    genes, spots = ~missing.all(axis=0), ~missing.all(axis=1)
    if (genes.all() and spots.all()) or not genes.any():
        return table, []
    said = [
        f"{what} without a value were left out ({(~known).sum()}): {examples(list(map(str, names[~known])))}"
        for what, known, names in (("genes", genes, table.var_names), ("spots", spots, table.obs_names))
        if not known.all()
    ]
    return table[spots, genes].copy(), said


def _name_genes(table: AnnData) -> list[str]:
    """Name genes by their symbols, without a genome before them, each once."""
    names, warnings = [str(gene) for gene in table.var_names], []
    known = {re.sub(r"[ .]", "_", str(name).lower()): name for name in table.var}
    columns = [known[name] for name in _SYMBOLS if name in known]
    if columns and _are_identifiers(names):
        column = min(columns, key=lambda name: _are_identifiers(table.var[name]))
        stated = [str(value) if isinstance(value, str) and value else "" for value in table.var[column]]
        if "gene_ids" not in table.var:
            table.var["gene_ids"] = names
        names = [symbol or name for symbol, name in zip(stated, names, strict=True)]
        warnings.append(f'genes are named by var["{column}"]')
    names, said = clear_names(names)
    unique, renamed = unique_genes(names)
    if list(unique) != [str(gene) for gene in table.var_names]:
        table.var_names = list(unique)
    return [*warnings, *said, *renamed]


def _are_identifiers(names: Iterable[Any]) -> bool:
    """Whether most of these names are numbers or identifiers, no symbols."""
    return bool(np.mean([bool(_IDENTIFIER.fullmatch(str(name))) for name in names]) > 0.5)


def check_sparse(table: AnnData, path: Path) -> None:
    """Refuse sparse matrices whose indices reach beyond their shape: using one reads foreign memory."""
    held = {"X": table.X, **table.layers, **table.obsm, **table.varm, **table.obsp, **table.varp}
    if table.raw is not None:
        held["raw"] = table.raw.X
    for name, matrix in held.items():
        problem = f"the indices of {name} reach beyond its shape or do not rise"
        with told_as(SectionError, problem, TypeError, ValueError, where=path, remedy="write it again"):
            if hasattr(matrix, "check_format"):
                matrix.check_format(full_check=True)
