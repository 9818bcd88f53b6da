"""Regions kept in a section's own table, so that they travel in its h5ad file."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from histoscribe.section.describe import KEY, described
from histoscribe.tiles import Region, read_regions, write_regions

if TYPE_CHECKING:
    from anndata import AnnData

_KEPT = "regions"


def keep_regions(table: AnnData, regions: Sequence[Region]) -> None:
    """Write regions into `uns["histoscribe"]["regions"]` as QuPath's GeoJSON; none removes what was there."""
    own = {name: value for name, value in described(table).items() if name != _KEPT}
    if regions:
        with tempfile.TemporaryDirectory() as folder:
            own[_KEPT] = write_regions(regions, Path(folder) / "regions.geojson").read_text(encoding="utf-8")
    table.uns[KEY] = own


def kept_regions(table: AnnData) -> list[Region]:
    """The regions that a table holds; none where it holds none.

    Raises
    ------
    RegionError
        If what it holds is damaged.
    """
    text = described(table).get(_KEPT)
    if not isinstance(text, str):
        return []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "the section's own regions"
        path.write_text(text, encoding="utf-8")
        return read_regions(path)
