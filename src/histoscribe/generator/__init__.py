"""The generator (MetGen): profiles of the metastasis that a primary tumour might become."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoscribe.lazy import lazily

if TYPE_CHECKING:
    from histoscribe.generator.cohort import Cohort, cohort_of, read_cohort
    from histoscribe.generator.generator import Generator
    from histoscribe.generator.genesets import read_gene_sets, shipped_gene_sets
    from histoscribe.generator.met500 import read_met500

__all__ = [
    "Cohort",
    "Generator",
    "cohort_of",
    "read_cohort",
    "read_gene_sets",
    "read_met500",
    "shipped_gene_sets",
]

__getattr__ = lazily(
    __name__,
    {
        "Cohort": "cohort",
        "Generator": "generator",
        "cohort_of": "cohort",
        "read_cohort": "cohort",
        "read_gene_sets": "genesets",
        "read_met500": "met500",
        "shipped_gene_sets": "genesets",
    },
)
