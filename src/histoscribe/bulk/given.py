"""Tables as callers hold them: a table, a section with one, or one that is checked already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from histoscribe.bulk.reading import BulkTable, as_table

if TYPE_CHECKING:
    from anndata import AnnData

SCALE_OF_KIND = {"measured": "counts", "predicted": "log1p"}
"""Scale of a section's values, by what `uns["histoscribe"]["kind"]` says."""


class HoldsTable(Protocol):
    """What has a name and a table: a section."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def table(self) -> AnnData:
        """Spots by genes."""
        ...


Table: TypeAlias = "AnnData | BulkTable | HoldsTable"
"""What the imputer and the generator take."""


def bulk_of(table: Table) -> BulkTable:
    """A checked table, whatever was given.

    Raises
    ------
    TableError
        If its genes or values cannot be used.
    """
    if isinstance(table, BulkTable):
        return table
    inner: AnnData = getattr(table, "table", table)
    about = inner.uns.get("histoscribe", {})
    scale = SCALE_OF_KIND.get(str(about.get("kind"))) if isinstance(about, dict) else None
    return as_table(inner, name=str(getattr(table, "name", "table")), scale=scale)
