"""Features: what is seen in a tile."""

from histoscribe.features.encoder import TileEncoder
from histoscribe.lazy import lazily

__all__ = [
    "BuiltinEncoder",
    "TileEncoder",
    "connected",
    "describe_tiles",
    "encode_tiles",
    "encoder_named",
    "same_encoder",
    "storing",
]

__getattr__ = lazily(
    __name__,
    {
        "BuiltinEncoder": "histoscribe.features.builtin.encoder",
        "connected": "histoscribe.features.tasks",
        "describe_tiles": "histoscribe.features.encoding",
        "encode_tiles": "histoscribe.features.encoding",
        "encoder_named": "histoscribe.features.registry",
        "same_encoder": "histoscribe.features.registry",
        "storing": "histoscribe.features.store",
    },
)
