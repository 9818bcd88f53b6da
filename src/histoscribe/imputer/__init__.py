"""The imputer (GexBERT): genes that were not measured, restored from those that were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoscribe.lazy import lazily

if TYPE_CHECKING:
    from histoscribe.imputer.imputer import Imputer

__all__ = ["Imputer"]

__getattr__ = lazily(__name__, {"Imputer": "histoscribe.imputer.imputer"})
