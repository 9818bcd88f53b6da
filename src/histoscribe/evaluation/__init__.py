"""Evaluation: measures, comparisons and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoscribe.lazy import lazily

if TYPE_CHECKING:
    from histoscribe.evaluation.comparison import Comparison, compare, pooled
    from histoscribe.evaluation.report import write_report

__all__ = ["Comparison", "compare", "pooled", "write_report"]

__getattr__ = lazily(
    __name__,
    {
        "Comparison": "histoscribe.evaluation.comparison",
        "compare": "histoscribe.evaluation.comparison",
        "pooled": "histoscribe.evaluation.comparison",
        "write_report": "histoscribe.evaluation.report",
    },
)
