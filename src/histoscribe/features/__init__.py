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
        "BuiltinEncoder": "builtin",
        "connected": "tasks",
        "describe_tiles": "encoding",
        "encode_tiles": "encoding",
        "encoder_named": "registry",
        "same_encoder": "registry",
        "storing": "store",
    },
)
