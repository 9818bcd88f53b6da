"""What the layout of a text table declares: where its genes are, and what is neither gene nor sample."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from histoscribe.errors import TableError

FEATURE_COUNTS = ("chr", "start", "end", "strand", "length")
_TWO_HEADED = "hybridization_ref"
"""The corner of a Firehose table, whose second line says what is in its columns."""
_GENE_WORDS = {
    "gene", "genes", "gene_id", "geneid", "gene_name", "gene_symbol", "symbol", "hugo_symbol", "hgnc_symbol",
    "ensembl", "ensembl_id", "ensembl_gene_id", "entrez", "entrez_id", "entrez_gene_id", "id_ref", "probe",
    "probe_id", "probeset_id", _TWO_HEADED, "target_id",
}  # fmt: skip
_DESCRIPTORS = {
    "length", "gene_length", "genelength", "exon_length", "transcript_length", "width", "effectivelength",
    "effective_length", "eff_length", "chr", "chrom", "chromosome", "start", "end", "strand", "entrez_id",
    "entrezid", "entrez_gene_id", "description", "mean", "average", "median", "sd", "std", "stdev",
}  # fmt: skip
STATISTICS = {
    "basemean", "log2foldchange", "lfcse", "logfc", "logcpm", "aveexpr", "pvalue", "p_value", "padj",
    "adj_p_val", "fdr",
}  # fmt: skip
"""What columns of DESeq2, edgeR and limma are, as `plain_word`."""
_CLINICAL = {
    "age", "sex", "gender", "race", "stage", "grade", "status", "vital_status", "event", "time", "survival",
    "batch", "purity", "group", "os", "os_time", "os_event", "os_status", "dss", "dss_time", "pfi",
    "pfi_time", "dfi", "dfi_time", "days_to_death", "days_to_last_follow_up", "age_at_diagnosis",
}  # fmt: skip
SYMBOL_COLUMNS = (
    "description", "gene_name", "gene_symbol", "gene_symbols", "symbol", "symbols", "pr_gene_symbol",
    "hgnc_symbol", "hugo_symbol", "external_gene_name", "gene_short_name", "feature_name", "gene", "genes",
)  # fmt: skip
"""Columns of text, in lower case, that may hold gene symbols beside identifiers."""
COUNT_LAYERS = ("counts", "raw_counts", "count", "umi", "raw")
"""What a layer of counts is called."""
STRANDS = ("unstranded", "stranded_first", "stranded_second")
"""What the three nameless columns of STAR's counts are."""

QUANTITIES = (
    "unstranded", "expected_count", "est_counts", "numreads", "stranded_first", "stranded_second", "tpm",
    "tpm_unstranded", "fpkm", "rpkm", "fpkm_unstranded", "fpkm_uq_unstranded",
)  # fmt: skip
"""Columns of a file about one sample (GDC, RSEM, kallisto, Salmon), the one that is taken first."""

_GENE_WITH_NUMBER = re.compile(r"ENS[A-Z]*\d{6,}(\.\d+)?|[A-Z]+\d+[A-Z0-9]*")
_WHOLE = re.compile(r"\d+(\.\d+)?")
_SPECIAL = re.compile(
    r"__\w+|N_(?:unmapped|multimapping|noFeature|ambiguous)|(?i:(?:grand |row |column )?totals?|sum|"
    r"(?:total|sum|lib(?:rary)?)[ _.]?(?:counts?|reads|size))|ERCC-\d{5}|"
    r"(?i:NegControl(?:Probe|Codeword)|(?:Unassigned|Deprecated)Codeword|Blank|antisense|Intergenic_Region)"
    r"[-_]\w+|(?:NegPrb|Negative|SystemControl|FalseCode)\d+"
)
GENE_EXPRESSION = "Gene Expression"
_TYPES = (" Expression", " Capture", "Peaks")
"""How types of features end where 10x Genomics states them."""


@dataclass(frozen=True)
class TextLayout:
    """What the first lines of a text table say."""

    genes_in: str | None = None
    """`rows`, where it is declared."""
    descriptors: int = 0
    """Columns after the first one that describe rows."""
    skipped: int = 0
    """Lines below the first one that describe columns."""
    rows: int = 0
    """How many rows are stated; 0 where none are."""


def gct_layout(first: str, second: str, where: object) -> TextLayout:
    """The layout that the two lines before a GCT's header declare.

    Version 1.3 counts, after rows and columns, the descriptors of rows (columns of the table) and those of
    columns (lines below the header). Raises `TableError` if the second line holds no such numbers.
    """
    numbers = second.split()
    rows = int(numbers[0]) if numbers and numbers[0].isdigit() else 0
    if not first.startswith("#1.3"):
        return TextLayout("rows", rows=rows)
    if len(numbers) < 4 or not all(one.isdigit() for one in numbers[:4]):
        problem = "the second line of a GCT 1.3 file must hold four numbers"
        remedy = "write rows, columns, row descriptors and column descriptors there"
        raise TableError(problem, where=str(where), remedy=remedy)
    return TextLayout("rows", int(numbers[2]), int(numbers[3]), rows)


def header_layout(header: Sequence[str]) -> TextLayout:
    """What the names of columns declare: featureCounts' five, or a word for genes in the corner."""
    words = [cell.lower() for cell in header]
    if tuple(words[1:6]) == FEATURE_COUNTS:
        return TextLayout("rows", 5)
    corner = plain_word(words[0])
    return TextLayout("rows" if corner in _GENE_WORDS else None, skipped=int(corner == _TWO_HEADED))


def is_special(name: str) -> bool:
    """Whether a row is of no one gene: a total, `__no_feature` of htseq-count, a control of Xenium."""
    return bool(_SPECIAL.fullmatch(name.strip()))


def genes_of(var: Any) -> tuple[list[int], str]:
    """Which features of a table are genes, by their types and names, and words about the others, if any."""
    types = list(map(str, var["feature_types"])) if "feature_types" in var else []
    if any(kind.endswith(_TYPES) for kind in types):
        kinds = [GENE_EXPRESSION if kind == "nan" else kind for kind in types]
    else:
        kinds = [GENE_EXPRESSION] * len(var)
    kinds = ["controls" if is_special(str(one)) else kind for one, kind in zip(var.index, kinds, strict=True)]
    kept = [row for row, kind in enumerate(kinds) if kind == GENE_EXPRESSION]
    others = ", ".join(sorted({*kinds} - {GENE_EXPRESSION}))
    if not kept:
        return kept, f"holds no gene expression, only {others}"
    return kept, others and f"{len(kinds) - len(kept)} features are no genes and were left out: {others}"


def plain_word(name: str) -> str:
    """A column's name in lower case, `_` between its words: `Gene.Length (bp)` is `gene_length`."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").removesuffix("_bp")


def is_descriptor(name: str) -> bool:
    """Whether a column of numbers tells of a gene (its length, place, mean), not of a sample."""
    return plain_word(name) in _DESCRIPTORS


def is_clinical(name: str) -> bool:
    """Whether a column, or row, of numbers tells of a patient or sample, where others hold genes."""
    return plain_word(name) in _CLINICAL


def is_nameless(first: Sequence[str]) -> bool:
    """Whether a first line names nothing: numbers beside a gene, or beside what STAR counts."""
    gene = is_special(first[0]) or bool(_GENE_WITH_NUMBER.fullmatch(first[0]))
    return gene and all(_WHOLE.fullmatch(cell) for cell in first[1:])


def quantity_of(names: Sequence[str]) -> str | None:
    """The column to take where all are quantities of one sample; None where they are samples."""
    known = {name.lower(): name for name in names}
    if not known or set(known) - set(QUANTITIES):
        return None
    return next(known[one] for one in QUANTITIES if one in known)
