"""Encoders by name."""

from __future__ import annotations

from collections.abc import Callable

from histoscribe.errors import SettingError
from histoscribe.features.builtin import BuiltinEncoder
from histoscribe.features.encoder import TileEncoder

# A card keeps the full name with its version; the short one means the present version.
_ENCODERS: dict[str, Callable[[], TileEncoder]] = {
    "builtin": BuiltinEncoder,
    BuiltinEncoder.name: BuiltinEncoder,
}


def encoder_named(name: str) -> TileEncoder:
    """Make an encoder from the name that a card or the user gives.

    Parameters
    ----------
    name : str
        A full name with its version, or `builtin` for the present built-in encoder.

    Raises
    ------
    SettingError
        If there is no such encoder.
    """
    if name not in _ENCODERS:
        known = ", ".join(_ENCODERS)
        raise SettingError("there is no such encoder", where=name, remedy=f"choose one of: {known}")
    return _ENCODERS[name]()
