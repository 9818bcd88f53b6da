"""Bulk tables: samples by genes, their gene identifiers and their scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from histoscribe.bulk.names import clean_names, match_genes
from histoscribe.bulk.scales import SCALES, convert, recognise_scale

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


def __getattr__(name: str) -> Any:
    if name in ("BulkTable", "as_table", "read_table"):
        from histoscribe.bulk import reading

        return getattr(reading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
