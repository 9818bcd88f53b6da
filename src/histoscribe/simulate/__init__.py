"""Simulated tissue whose truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from histoscribe.simulate.sample import sample_cohort, sample_folder
    from histoscribe.simulate.section import simulate_section
    from histoscribe.simulate.spaceranger import write_spaceranger

__all__ = ["sample_cohort", "sample_folder", "simulate_section", "write_spaceranger"]

_HOMES = {
    "sample_cohort": "sample",
    "sample_folder": "sample",
    "simulate_section": "section",
    "write_spaceranger": "spaceranger",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
