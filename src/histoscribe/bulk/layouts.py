"""What the layout of a text table declares: where its genes are, and what is neither gene nor sample."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from histoscribe.errors import TableError

FEATURE_COUNTS = ("chr", "start", "end", "strand", "length")
_GENE_WORDS = {
    "gene", "genes", "gene_id", "geneid", "gene_name", "gene_symbol", "symbol", "hugo_symbol", "hgnc_symbol",
    "ensembl", "ensembl_id", "ensembl_gene_id", "entrez", "entrez_id", "entrez_gene_id",
}  # fmt: skip
_DESCRIPTORS = {
    "length", "gene_length", "width", "effectivelength", "effective_length", "chr", "chrom", "chromosome",
    "start", "end", "strand", "entrez_id", "entrezid", "entrez_gene_id",
}  # fmt: skip
SYMBOL_COLUMNS = (
    "description", "gene_name", "gene_symbol", "symbol", "pr_gene_symbol", "hgnc_symbol",
    "external_gene_name",
)  # fmt: skip
"""Columns of text, in lower case, that may hold gene symbols beside identifiers."""

QUANTITIES = (
    "unstranded", "expected_count", "est_counts", "numreads", "stranded_first", "stranded_second", "tpm",
    "tpm_unstranded", "fpkm", "rpkm", "fpkm_unstranded", "fpkm_uq_unstranded",
)  # fmt: skip
"""Columns of a file about one sample (GDC, RSEM, kallisto, Salmon), the one that is taken first."""

_SPECIAL = re.compile(r"^(?:__\w+|N_(?:unmapped|multimapping|noFeature|ambiguous))$")


@dataclass(frozen=True)
class TextLayout:
    """What the first lines of a text table say."""

    genes_in: str | None = None
    """`rows`, where it is declared."""
    descriptors: int = 0
    """Columns after the first one that describe rows."""
    skipped: int = 0
    """Lines below the first one that describe columns."""


def gct_layout(first: str, second: str, where: object) -> TextLayout:
    """The layout that the two lines before a GCT's header declare.

    Version 1.3 counts, after rows and columns, the descriptors of rows (columns of the table) and those of
    columns (lines below the header). Raises `TableError` if the second line holds no such numbers.
    """
    if not first.startswith("#1.3"):
        return TextLayout("rows")
    numbers = second.split()
    if len(numbers) < 4 or not all(one.isdigit() for one in numbers[:4]):
        raise TableError(
            "the second line of a GCT 1.3 file must hold four numbers", where=str(where),
            remedy="write rows, columns, row descriptors and column descriptors there",
        )  # fmt: skip
    return TextLayout("rows", int(numbers[2]), int(numbers[3]))


def header_layout(header: Sequence[str]) -> TextLayout:
    """What the names of columns declare: featureCounts' five, or a word for genes in the corner."""
    words = [cell.lower() for cell in header]
    if tuple(words[1:6]) == FEATURE_COUNTS:
        return TextLayout("rows", 5)
    return TextLayout("rows" if words[0].replace(" ", "_") in _GENE_WORDS else None)


def is_special(name: str) -> bool:
    """Whether a row counts reads without a gene: `__no_feature` of htseq-count, `N_unmapped` of STAR."""
    return bool(_SPECIAL.match(name))


def is_descriptor(name: str) -> bool:
    """Whether a column of numbers tells of a gene (its length, its place), not of a sample."""
    return name.lower().replace(" ", "_") in _DESCRIPTORS


def quantity_of(names: Sequence[str]) -> str | None:
    """The column to take where all are quantities of one sample; None where they are samples."""
    known = {name.lower(): name for name in names}
    if not known or set(known) - set(QUANTITIES):
        return None
    return next(known[one] for one in QUANTITIES if one in known)
