"""Tiles: where on a slide to look."""

from histoscribe.tiles.crops import read_crops
from histoscribe.tiles.geojson import read_regions, write_regions
from histoscribe.tiles.model import Tiles
from histoscribe.tiles.placing import grid_tiles, sample_tiles, spot_tiles
from histoscribe.tiles.regions import Region

__all__ = [
    "Region",
    "Tiles",
    "grid_tiles",
    "read_crops",
    "read_regions",
    "sample_tiles",
    "spot_tiles",
    "write_regions",
]
