"""Tiles: where on a slide to look."""

from histoscribe.tiles.model import Tiles

__all__ = ["Tiles"]
