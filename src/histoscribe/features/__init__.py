"""Features: what is seen in a tile."""

from typing import Any

from histoscribe.features.encoder import TileEncoder

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

_HOMES = {
    "BuiltinEncoder": "builtin",
    "connected": "tasks",
    "describe_tiles": "encoding",
    "encode_tiles": "encoding",
    "encoder_named": "registry",
    "same_encoder": "registry",
    "storing": "store",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
