"""Sections: measured or predicted spots on their tissue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoscribe.lazy import lazily
from histoscribe.section.coordinates import flip
from histoscribe.section.model import Section

if TYPE_CHECKING:
    from histoscribe.section.alignment import Alignment, check_alignment
    from histoscribe.section.cohort import read_cohort, read_cohort_csv
    from histoscribe.section.describe import kind_of
    from histoscribe.section.opening import open_section
    from histoscribe.section.raster import Raster, raster_of
    from histoscribe.section.readers.feature_slice import read_feature_slice, slice_genes
    from histoscribe.section.readers.legacy import read_legacy
    from histoscribe.section.table import gene_column
    from histoscribe.section.write.writing import write_section

__all__ = [
    "Alignment",
    "Raster",
    "Section",
    "check_alignment",
    "flip",
    "gene_column",
    "kind_of",
    "open_section",
    "raster_of",
    "read_cohort",
    "read_cohort_csv",
    "read_feature_slice",
    "read_legacy",
    "slice_genes",
    "write_section",
]

__getattr__ = lazily(
    __name__,
    {
        "Alignment": "histoscribe.section.alignment",
        "Raster": "histoscribe.section.raster",
        "check_alignment": "histoscribe.section.alignment",
        "gene_column": "histoscribe.section.table",
        "kind_of": "histoscribe.section.describe",
        "open_section": "histoscribe.section.opening",
        "raster_of": "histoscribe.section.raster",
        "read_cohort": "histoscribe.section.cohort",
        "read_cohort_csv": "histoscribe.section.cohort",
        "read_feature_slice": "histoscribe.section.readers.feature_slice",
        "read_legacy": "histoscribe.section.readers.legacy",
        "slice_genes": "histoscribe.section.readers.feature_slice",
        "write_section": "histoscribe.section.write.writing",
    },
)
