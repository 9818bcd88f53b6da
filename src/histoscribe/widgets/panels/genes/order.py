"""What the list of genes is sorted by: name, how well they are predicted, how they vary on the tissue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoscribe.widgets.jobs.loading import load_libraries

if TYPE_CHECKING:
    from histoscribe.progress import Progress
    from histoscribe.section import Section

NAME, RELIABILITY, VARIANCE, MEAN, MORAN = "name", "r", "variance", "mean", "moran"
ORDERS = (
    ("Name", NAME),
    ("Reliability (r)", RELIABILITY),
    ("Variance", VARIANCE),
    ("Mean", MEAN),
    ("Pattern in space (Moran's I)", MORAN),
)
"""In words, and as sessions keep them."""


def gene_statistic(request: tuple[Section, str], progress: Progress) -> dict[str, float]:
    """A number a gene to sort by, of log1p of counts per 10,000; Moran's I of the 2,000 most variable."""
    section, order = request
    progress.report("reading the genes")
    load_libraries("scipy.sparse", "histoscribe.evaluation.regions")
    from histoscribe.evaluation.regions import gene_moments, morans_i, variable_genes

    if order == MORAN:
        progress.report("looking for patterns")
        found = morans_i(section, variable_genes(section))["I"].dropna()
    else:
        found = gene_moments(section)[order]
    return {str(gene): float(value) for gene, value in found.items()}
