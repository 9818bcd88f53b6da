"""The generator (MetGen): profiles of the metastasis that a primary tumour might become."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoscribe.lazy import lazily

if TYPE_CHECKING:
    from histoscribe.generator.cohort.cohort import Cohort, cohort_of, read_cohort
    from histoscribe.generator.cohort.met500 import read_met500
    from histoscribe.generator.generator import Generator
    from histoscribe.genes.sets import read_gene_sets, shipped_gene_sets

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
        "Cohort": "histoscribe.generator.cohort.cohort",
        "Generator": "histoscribe.generator.generator",
        "cohort_of": "histoscribe.generator.cohort.cohort",
        "read_cohort": "histoscribe.generator.cohort.cohort",
        "read_gene_sets": "histoscribe.genes.sets",
        "read_met500": "histoscribe.generator.cohort.met500",
        "shipped_gene_sets": "histoscribe.genes.sets",
    },
)
