"""Spots that differ from their neighbours."""

from __future__ import annotations

import numpy as np

from histoscribe.section.outliers import MOST_AWAY, outlying_spots
from histoscribe.simulate import simulate_section


def test_emptied_spots_are_told_and_few_others() -> None:
    section = simulate_section(3, genes=60, size_um=1800.0, mpp=4.0)
    emptied = np.arange(5, section.table.n_obs, 40)
    counts = section.table.X.toarray()
    counts[emptied] = np.random.default_rng(0).binomial(counts[emptied].astype(int), 0.02)
    section.table.X = counts
    away = outlying_spots(section) > MOST_AWAY
    assert away[emptied].all()
    assert np.delete(away, emptied).mean() < 0.05
