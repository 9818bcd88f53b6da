"""The imputer (GexBERT): genes that were not measured, restored from those that were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from histoscribe.imputer.imputer import Imputer

__all__ = ["Imputer"]


def __getattr__(name: str) -> Any:
    if name == "Imputer":
        from histoscribe.imputer.imputer import Imputer

        return Imputer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
