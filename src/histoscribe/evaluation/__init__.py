"""Evaluation: measures, comparisons and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from histoscribe.evaluation.comparison import Comparison, compare, pooled
    from histoscribe.evaluation.report import write_report

__all__ = ["Comparison", "compare", "pooled", "write_report"]

_HOMES = {
    "Comparison": "comparison",
    "compare": "comparison",
    "pooled": "comparison",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
