"""Sections whose descriptors determine their expression, made in memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from histoscribe.predictor import EncodedSection

GENES = 60
DESCRIPTORS = 20


@pytest.fixture(scope="session")
def make_section() -> Callable[..., EncodedSection]:
    """A square section of `side`² spots: three hidden programmes drive descriptors and counts linearly."""

    def make(
        name: str = "S1", *, patient: str | None = None, side: int = 10, seed: int = 0, depth: float = 3000.0
    ) -> EncodedSection:
        fixed, rng = np.random.default_rng(7), np.random.default_rng(seed)
        to_features = fixed.normal(size=(3, DESCRIPTORS))
        to_genes = fixed.normal(size=(3, GENES))
        places = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2)
        waves = rng.uniform(0.3, 0.9, size=(3, 2))
        hidden = np.sin(places @ waves.T + rng.uniform(0, 6, 3))
        features = hidden @ to_features + 0.05 * rng.normal(size=(side**2, DESCRIPTORS))
        rate = np.exp(0.6 * hidden @ to_genes)
        share = rate / rate.sum(axis=1, keepdims=True)
        counts = rng.poisson(depth * share)
        return EncodedSection(
            name=name,
            patient=patient or name,
            features=features.astype(np.float32),
            centres_um=places * 100.0,
            pitch_um=100.0,
            counts=csr_matrix(counts.astype(np.float32)),
            genes=[f"G{number}" for number in range(GENES)],
        )

    return make
