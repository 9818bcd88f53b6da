"""Regions kept in a section's own table, so that they travel in its h5ad file."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from histoscribe.record import amend_record, record_of
from histoscribe.tiles import Region, read_regions, write_regions

if TYPE_CHECKING:
    from anndata import AnnData


def keep_regions(table: AnnData, regions: Sequence[Region]) -> None:
    """Write regions into the table's record as QuPath's GeoJSON; none removes what was there."""
    text = ""
    if regions:
        with tempfile.TemporaryDirectory() as folder:
            text = write_regions(regions, Path(folder) / "regions.geojson").read_text(encoding="utf-8")
    amend_record(table, regions=text)


def kept_regions(table: AnnData) -> list[Region]:
    """The regions that a table holds; none where it holds none.

    Raises
    ------
    RegionError
        If what it holds is damaged.
    """
    text = record_of(table).regions
    if not text:
        return []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "the section's own regions"
        path.write_text(text, encoding="utf-8")
        return read_regions(path)
