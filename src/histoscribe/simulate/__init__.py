"""Simulated tissue whose truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from histoscribe.lazy import lazily

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

__getattr__ = lazily(
    __name__,
    {
        "sample_cohort": "histoscribe.simulate.sample",
        "sample_folder": "histoscribe.simulate.sample",
        "simulate_hd": "histoscribe.simulate.hd",
        "simulate_section": "histoscribe.simulate.section",
        "write_spaceranger": "histoscribe.simulate.spaceranger",
        "write_spaceranger_hd": "histoscribe.simulate.spaceranger_hd",
    },
)
