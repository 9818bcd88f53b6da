"""Simulated tissue whose truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from histoscribe.simulate.hd import simulate_hd
    from histoscribe.simulate.sample import sample_cohort, sample_folder
    from histoscribe.simulate.section import simulate_section
    from histoscribe.simulate.spaceranger import write_spaceranger
    from histoscribe.simulate.spaceranger_hd import write_spaceranger_hd

__all__ = [
    "sample_cohort",
    "sample_folder",
    "simulate_hd",
    "simulate_section",
    "write_spaceranger",
    "write_spaceranger_hd",
]

_HOMES = {
    "sample_cohort": "sample",
    "sample_folder": "sample",
    "simulate_hd": "hd",
    "simulate_section": "section",
    "write_spaceranger": "spaceranger",
    "write_spaceranger_hd": "spaceranger_hd",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
