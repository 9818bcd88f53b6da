"""Features: what is seen in a tile."""

from histoscribe.features.encoder import TileEncoder

__all__ = ["TileEncoder"]
