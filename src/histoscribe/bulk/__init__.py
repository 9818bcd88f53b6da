"""Bulk tables: samples by genes, their gene identifiers and their scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoscribe.bulk.scales import SCALES, convert, recognise_scale
from histoscribe.genes.identifiers import clean_names, match_genes
from histoscribe.lazy import lazily

if TYPE_CHECKING:
    from histoscribe.bulk.reading import BulkTable, as_table, read_table

__all__ = [
    "SCALES",
    "BulkTable",
    "as_table",
    "clean_names",
    "convert",
    "match_genes",
    "read_table",
    "recognise_scale",
]

__getattr__ = lazily(
    __name__,
    {
        "BulkTable": "histoscribe.bulk.reading",
        "as_table": "histoscribe.bulk.reading",
        "read_table": "histoscribe.bulk.reading",
    },
)
