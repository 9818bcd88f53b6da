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
    from histoscribe.section.feature_slice import read_feature_slice, slice_genes
    from histoscribe.section.legacy import read_legacy
    from histoscribe.section.opening import open_section
    from histoscribe.section.raster import Raster, raster_of
    from histoscribe.section.table import gene_column
    from histoscribe.section.write import write_section

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
        "Alignment": "alignment",
        "Raster": "raster",
        "check_alignment": "alignment",
        "gene_column": "table",
        "kind_of": "describe",
        "open_section": "opening",
        "raster_of": "raster",
        "read_cohort": "cohort",
        "read_cohort_csv": "cohort",
        "read_feature_slice": "feature_slice",
        "read_legacy": "legacy",
        "slice_genes": "feature_slice",
        "write_section": "write",
    },
)
