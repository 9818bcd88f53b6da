"""Whether unpublished parts of napari may be used: by its version, their signatures and the user's wish."""

from __future__ import annotations

import inspect
import logging
from enum import StrEnum
from functools import cache
from typing import Any

from packaging.specifiers import SpecifierSet

PLUGIN = "napari-histoscribe"
KNOWN = SpecifierSet(">=0.9.2,<0.10", prereleases=True)
"""The versions of napari whose unpublished parts were looked at; in all others the fallbacks serve."""

_log = logging.getLogger(__name__)


class Use(StrEnum):
    """What is done with unpublished parts; each is the name of the preference that switches it off."""

    DISCS = "discs"
    COLOUR_SCALE = "colour_scale"
    LAYERS_IN_TURNS = "layers_in_turns"
    STILL_CANVAS = "still_canvas"


def may(use: Use, *parts: tuple[Any, tuple[str, ...]]) -> bool:
    """Whether a use is possible in this napari, and wished.

    Each part is an object and what it must have: `name` for an attribute, `name(first, second)` for a call
    that takes arguments of these names, as many as there are.
    """
    wished = bool(getattr(reach(plugin_settings(), "unpublished"), use.value, True))
    return wished and _is_known() and all(_has(*part) for part in parts)


def reach(start: Any, path: str) -> Any:
    """What lies behind attributes that follow each other; None where one is missing."""
    for name in path.split("."):
        start = getattr(start, name, None)
    return start


def plugin_settings() -> Any:
    """The preferences as napari keeps them; None where it knows none or their file is damaged."""
    from napari.settings import get_plugin_settings
    from npe2 import PluginManager

    try:
        PluginManager.instance().get_manifest(PLUGIN)
    except KeyError:
        return None
    try:
        return get_plugin_settings(PLUGIN)
    except Exception:
        _log.warning("the preferences cannot be read; the defaults are used", exc_info=True)
        return None


@cache
def _is_known() -> bool:
    import napari

    return napari.__version__ in KNOWN


def _has(thing: Any, names: tuple[str, ...]) -> bool:
    for wanted in names:
        name, called, arguments = wanted.partition("(")
        found = getattr(thing, name, None)
        if not hasattr(thing, name) or (called and _arguments(found) != arguments.removesuffix(")")):
            return False
    return True


def _arguments(call: Any) -> str | None:
    """Names of the arguments of a call, as they would be written; None where it cannot be called or asked."""
    try:
        return ", ".join(inspect.signature(call).parameters)
    except (TypeError, ValueError):
        return None
