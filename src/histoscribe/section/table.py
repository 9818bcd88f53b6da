"""The table of spots by genes: what every reader checks, and one gene out of it quickly."""

from __future__ import annotations

import re
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Mask
from histoscribe.errors import SectionError, TableError
from histoscribe.genes.identifiers import bare_name, clean_names, date_words, name_doubts
from histoscribe.record import record_of
from histoscribe.rows import is_lazy

if TYPE_CHECKING:
    from anndata import AnnData

    from histoscribe.section.model import Section

PIECE = 1 << 22
"""Values that are looked at together."""
_DEPTH = 10_000.0
_factors: weakref.WeakKeyDictionary[Section, Floats] = weakref.WeakKeyDictionary()
"""What each spot's counts are multiplied by to become counts per 10,000; 0 for a spot without any."""
_lately: weakref.WeakKeyDictionary[Section, dict[str | None, Floats]] = weakref.WeakKeyDictionary()
"""The genes read last of a table that lies on disk."""
_KEPT = 8
_LARGEST = float(np.finfo(np.float32).max)
_MANY = 500
"""Values that are not all 1 where they are counts."""
_FEW = 10
"""Names that may be numbers by chance."""
_COUNTS_REMEDY = "give the raw counts"
_GENOME = re.compile(r"((?:GRCh|GRCm|hg|mm|rn)\d+)_+(?=\S)")


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts as one reader found them, before they meet their positions."""

    matrix: Any
    """Raw counts, shape (spots, genes)."""
    spots: tuple[str, ...]
    """Barcodes, or `XxY` in legacy arrays; unique."""
    genes: tuple[str, ...]
    """Gene symbols, unique."""
    gene_ids: tuple[str, ...] | None = None
    """Stable identifiers, where the file has them."""
    warnings: tuple[str, ...] = ()
    """Everything doubtful, in plain words."""


def checked_counts(
    matrix: Any,
    spots: Sequence[str],
    genes: Sequence[str],
    *,
    where: Path,
    gene_ids: Sequence[str] | None = None,
    warnings: Sequence[str] = (),
) -> Counts:
    """Check a matrix of raw counts and its names, and make the gene symbols unique.

    `matrix` (spots, genes): raw counts of any numeric type; `spots` and `genes`: names of rows and columns.
    Raises one `SectionError` with every problem found.
    """
    from scipy.sparse import csr_matrix

    counts = csr_matrix(matrix, dtype=np.float32)
    problems, doubts = count_problems(counts)
    if 0 in counts.shape:
        problems.insert(0, f"the table is empty ({counts.shape[0]} spots, {counts.shape[1]} genes)")
    if counts.shape != (len(spots), len(genes)):
        problems.append(
            f"the matrix is {counts.shape[0]} × {counts.shape[1]} but there are {len(spots)} spot names "
            f"and {len(genes)} gene names"
        )
    if twice := repeated(spots):
        problems.append(f"spots named twice: {examples(twice)}")
    if problems:
        raise SectionError("; ".join(problems), where=where, remedy=_COUNTS_REMEDY)
    genes, said = clear_names(genes)
    unique, renamed = unique_genes(genes)
    return Counts(
        matrix=counts,
        spots=tuple(spots),
        genes=unique,
        gene_ids=None if gene_ids is None else tuple(gene_ids),
        warnings=(*warnings, *doubts, *said, *renamed),
    )


def count_problems(matrix: Any) -> tuple[list[str], list[str]]:
    """Look at values that ought to be raw counts; return (errors, warnings) in plain words.

    `matrix`: any shape; only its values are looked at.
    """
    values = np.asarray(getattr(matrix, "data", matrix) if hasattr(matrix, "tocsr") else matrix)
    if values.dtype.kind not in "fiub":
        return [f"the counts are not numbers ({values.dtype})"], []
    broken = negative = apart = positive = 0
    largest = 0.0
    flat = values.reshape(-1)
    for start in range(0, flat.size, PIECE):
        piece = flat[start : start + PIECE]
        broken += int(np.count_nonzero(~(np.abs(piece) <= _LARGEST)))
        negative += int(np.count_nonzero(piece < 0))
        positive += int(np.count_nonzero(piece))
        largest = max(largest, float(piece.max(initial=0)))
        if piece.dtype.kind == "f":
            with np.errstate(invalid="ignore"):
                apart += int(np.count_nonzero(np.abs(piece - np.rint(piece)) > 1e-3))
    errors, doubts = [], []
    if broken:
        errors.append(f"{broken} counts are missing or infinite")
    if negative:
        errors.append(f"{negative} counts are negative")
    if not errors and apart > 0.001 * flat.size:
        share = f"{apart / flat.size:.0%}"
        doubts.append(f"{share} of the values are not whole numbers: normalised, not raw counts?")
    if not errors and not positive and np.prod(matrix.shape):
        doubts.append("every count is zero")
    if not errors and not doubts and positive >= _MANY and largest == 1:
        doubts.append("no count is above 1: are they yes and no, not counts?")
    return errors, doubts


def unique_genes(genes: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keep the first of each symbol and append `-1`, `-2`, ... to the others, as scanpy does.

    Returns `names` and `warnings`: one warning that names examples, or none.
    """
    from anndata.utils import make_index_unique

    twice = repeated(genes)
    if not twice:
        return tuple(genes), ()
    with catch_warnings(action="ignore"):  # it warns of names that end in a number already
        names = make_index_unique(pd.Index(genes, dtype=str))
    said = f"{len(twice)} gene symbols occur more than once ({examples(twice)}); the others got -1, -2, ..."
    return tuple(names), (said,)


def without_genome(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Gene names without the genome (`GRCh38_`, `mm10___`) before all of them, and what was done."""
    found = [_GENOME.match(name) for name in names]
    genomes = {match[1] for match in found if match is not None}
    if not genomes or sum(match is not None for match in found) < 0.9 * len(names):
        return list(names), []
    if len(genomes) > 1:
        both = examples(sorted(genomes))
        return list(names), [f"genes are of several genomes ({both}) and keep its name: take those of one"]
    bare = [name if match is None else name[match.end() :] for name, match in zip(names, found, strict=True)]
    return bare, [f"{genomes.pop()} was taken from before the genes' names"]


def clear_names(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Gene names without a genome before them or identifiers beside them, with spreadsheets' dates turned
    back; what was done and what is doubtful."""
    whole, said = without_genome(names)
    bare = list(map(bare_name, whole))
    if changed := [old for old, new in zip(whole, bare, strict=True) if old != new]:
        said.append(f"identifiers beside {len(changed)} symbols were taken off ({examples(changed)})")
    clean = clean_names(bare)
    genes = dict(clean.dates)
    bare = [genes.get(name, name) for name in bare]
    said += date_words(clean)
    if len(bare) >= _FEW and bare in ([str(place + first) for place in range(len(bare))] for first in (0, 1)):
        said.append(f"its genes are called {', '.join(bare[:3])} and so on: were their names lost?")
    return bare, [*said, *name_doubts(bare)]


def flags_of(values: Any) -> Mask | None:
    """Yes and no as Python, R and spreadsheets write them; None where it is something else."""
    words = dict.fromkeys(("1", "true", "t", "yes"), True) | dict.fromkeys(("0", "false", "f", "no"), False)
    found = [words.get(str(value).strip().lower().removesuffix(".0")) for value in values]
    return None if None in found else np.array(found, dtype=np.bool_)


def repeated(names: Sequence[str]) -> list[str]:
    """The names that occur more than once, each once, in order of their second appearance."""
    if len(set(names)) == len(names):
        return []
    first = {name: place for place, name in reversed(list(enumerate(names)))}
    return list(dict.fromkeys(name for place, name in enumerate(names) if first[name] != place))


def rows_among(names: Sequence[Any], listed: Sequence[Any]) -> NDArray[np.intp]:
    """The row of each name in a list of unique ones; -1 where it is not among them."""
    return np.asarray(pd.Index(listed, dtype=object).get_indexer(pd.Index(names, dtype=object)))


def no_join(counts: Counts, listed: Sequence[str], where: Path, remedy: str) -> SectionError:
    """That no spot with counts is among those that have a place."""
    problem = (
        f"counts and positions do not join: the counts have spots like {examples(counts.spots, 2)}, "
        f"the positions like {examples(listed, 2)}"
    )
    return SectionError(problem, where=where, remedy=remedy)


def examples(names: Sequence[str], most: int = 3) -> str:
    """Name the first few: `a, b, c and 4 more`."""
    listed = ", ".join(names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"


def gene_column(section: Section, gene: str) -> Floats:
    """Read one gene over all spots, quickly: a column-ordered copy of the table is kept.

    Parameters
    ----------
    section : Section
        Any section; its table must not be changed in place between two calls.
    gene : str
        One of `section.genes`.

    Returns
    -------
    ndarray of float32, shape (spots,)

    Raises
    ------
    TableError
        If the table has no such gene.
    """
    table = section.table
    if gene not in table.var_names:
        raise no_gene(gene, section.genes, section.name)
    column = table.var_names.get_loc(gene)
    if is_lazy(table.X):
        lately = _lately.setdefault(section, {})
        if gene not in lately:
            from dask.local import get_sync  # its name would have dask import distributed

            lately[gene] = table.X[:, column].astype(np.float32).compute(scheduler=get_sync)
            lately.pop(next(iter(lately)) if len(lately) > _KEPT else None, None)
        return lately[gene].copy()
    values = table.X[:, column] if table.is_view else _by_column(table)[:, column]
    dense = values.toarray() if hasattr(values, "toarray") else values
    return np.ravel(np.asarray(dense)).astype(np.float32)


def log_gene(section: Section, gene: str) -> Floats:
    """One gene over all spots on the scale that all kinds share, shape (spots,): log1p of counts per 10,000.

    Predicted and restored values are taken as they are. Raises `TableError` if there is no such gene.
    """
    values = gene_column(section, gene)
    if not record_of(section.table).measured:
        return values
    if section not in _factors:
        depth = np.asarray(section.table.X.sum(axis=1), dtype=np.float64).ravel()
        factors = np.divide(_DEPTH, depth, out=np.zeros(len(depth)), where=depth > 0)
        _factors[section] = factors.astype(np.float32)
    logged: Floats = np.log1p(values * _factors[section], dtype=np.float32)
    return logged


def no_gene(gene: str, genes: Sequence[str], where: str | Path) -> TableError:
    """That there is no such gene, naming those that are spelled nearly alike."""
    from difflib import get_close_matches

    near = get_close_matches(gene, genes, n=3)
    remedy = f"did you mean {' or '.join(near)}" if near else "check the spelling"
    return TableError(f"there is no gene {gene!r}", where=where, remedy=remedy)


_columns: dict[int, tuple[weakref.ref[Any], Any]] = {}


def _by_column(table: AnnData) -> Any:
    """`table.X` in column order, kept until that matrix is gone."""
    matrix = table.X
    key = id(matrix)
    kept = _columns.get(key)
    if kept is None or kept[0]() is not matrix:
        ordered = matrix.tocsc() if hasattr(matrix, "tocsc") else np.asfortranarray(matrix)
        kept = weakref.ref(matrix, lambda _: _columns.pop(key, None)), ordered
        _columns[key] = kept
    return kept[1]
