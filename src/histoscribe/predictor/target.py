"""What is predicted: log1p of counts per 10,000 over all genes of a spot, for a panel of genes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SettingError, TableError

Target = Literal["clean", "published"]
TARGET = "log1p of counts per 10,000 over all genes of the spot"
TARGETS: dict[Target, str] = {
    "clean": TARGET,
    "published": "as published, NOT clean: log1p of counts per 10,000 of the gene over the section, so that "
    "the depth of a spot leaks into every gene",
}
PANEL_SIZE = 250
_DEPTH = 10_000.0


class CountedSection(Protocol):
    """Anything that has a name, counts (spots, genes) and the genes' names."""

    @property
    def name(self) -> str:
        """Of the section."""
        ...

    @property
    def counts(self) -> Any:
        """Raw counts, (spots, genes)."""
        ...

    @property
    def genes(self) -> Sequence[str]:
        """Names of the columns."""
        ...


def log_cp10k(counts: Any) -> Any:
    """Scale every spot to 10,000 counts over all its genes, then take log1p.

    Parameters
    ----------
    counts : ndarray or sparse, shape (spots, genes)
        Raw counts of **all** genes; choosing a panel comes afterwards.

    Returns
    -------
    ndarray of float32 or CSR of float32, shape (spots, genes)
        Sparse where `counts` is sparse. Spots without counts stay zero.

    Raises
    ------
    TableError
        If a count is negative or not a number.
    """
    from scipy import sparse

    is_sparse = sparse.issparse(counts)
    matrix: Any = counts.tocsr() if is_sparse else np.asarray(counts)
    data: NDArray[Any] = matrix.data if is_sparse else matrix
    if data.size and not (np.isfinite(data).all() and data.min() >= 0):
        raise TableError(
            "some counts are negative or not numbers", remedy="give raw counts, not scaled or log values"
        )
    depth = np.asarray(matrix.sum(axis=1), dtype=np.float64).reshape(-1)
    factor = np.divide(_DEPTH, depth, out=np.zeros_like(depth), where=depth > 0)
    if not is_sparse:
        return np.log1p(matrix * factor[:, None]).astype(np.float32)
    scaled = sparse.csr_array(sparse.diags_array(factor) @ matrix)
    scaled.data = np.log1p(scaled.data).astype(np.float32)
    return scaled.astype(np.float32)


def panel_expression(
    section: CountedSection, panel: Sequence[str], target: Target = "clean"
) -> NDArray[np.float32]:
    """The target of one section, shape (spots, panel): normalised over all its genes, then restricted.

    Parameters
    ----------
    section : CountedSection
    panel : sequence of str
    target : str
        `clean`; or `published`, normalised along the wrong axis as GR2ST's first code did, to reproduce its
        numbers and for nothing else.

    Raises
    ------
    TableError
        If a gene of the panel is not in the section.
    """
    index = {gene: column for column, gene in enumerate(section.genes)}
    missing = [gene for gene in panel if gene not in index]
    if missing:
        raise TableError(
            f"{len(missing)} of {len(panel)} panel genes are not in the table, such as {missing[0]}",
            where=section.name,
            remedy="use sections whose tables name their genes alike",
        )
    columns = [index[gene] for gene in panel]
    if target == "published":
        counts = section.counts[:, columns]
        values = log_cp10k(counts.T).T
    else:
        values = log_cp10k(section.counts)[:, columns]
    dense = values.toarray() if hasattr(values, "toarray") else values
    return np.ascontiguousarray(dense, dtype=np.float32)


def spot_weights(sections: Sequence[CountedSection]) -> NDArray[np.float64]:
    """How much each spot of these sections is believed, shape (all spots,): 1 at the median depth.

    The noise of log expression falls as a spot's counts grow. The square root of the depth, bounded to a
    tenth and ten times, lets deep spots speak louder without silencing the others.
    """
    depth = np.concatenate(
        [np.asarray(section.counts.sum(axis=1), dtype=np.float64).reshape(-1) for section in sections]
    )
    middle = float(np.median(depth)) or 1.0
    return np.asarray(np.clip(np.sqrt(depth / middle), 0.1, 10.0), dtype=np.float64)


def common_genes(sections: Sequence[CountedSection]) -> list[str]:
    """Genes that every section has, in the order of the first.

    Raises
    ------
    TableError
        If there is none.
    """
    shared = set(sections[0].genes).intersection(*(section.genes for section in sections[1:]))
    if not shared:
        raise TableError(
            "the sections have no gene in common",
            where=", ".join(section.name for section in sections),
            remedy="give tables of one species with the same kind of gene names (symbols or Ensembl ids)",
        )
    return [gene for gene in sections[0].genes if gene in shared]


def choose_panel(sections: Sequence[CountedSection], size: int = PANEL_SIZE) -> list[str]:
    """The genes whose target varies most over all spots of these sections, most variable first.

    Pass training sections only: a panel that saw the test section flatters every method.

    Parameters
    ----------
    sections : sequence
        Sections with `counts` and `genes`.
    size : int
        How many genes; fewer are returned where fewer are common to all sections.

    Raises
    ------
    SettingError
        If `size` is not positive or there is no section.
    TableError
        If the sections have no gene in common.
    """
    if size < 1 or not sections:
        raise SettingError("a panel needs at least one gene and one section", remedy="ask for more genes")
    genes = common_genes(sections)
    spots, total, squares = 0, np.zeros(len(genes)), np.zeros(len(genes))
    for section in sections:
        index = {gene: column for column, gene in enumerate(section.genes)}
        values = log_cp10k(section.counts)[:, [index[gene] for gene in genes]].astype(np.float64)
        spots += values.shape[0]
        total += np.asarray(values.sum(axis=0)).reshape(-1)
        squares += np.asarray((values**2).sum(axis=0)).reshape(-1)
    variance = squares / max(spots, 1) - (total / max(spots, 1)) ** 2
    order = np.argsort(-np.round(variance, 12), kind="stable")
    return [genes[column] for column in order[:size]]
