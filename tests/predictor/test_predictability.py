"""Genes that the image shows come first, before anything is trained."""

from __future__ import annotations

import numpy as np

from histoscribe.predictor import predictability
from histoscribe.predictor.encoded import EncodedSection


def cohort(sections: int) -> list[EncodedSection]:
    """Two genes follow a smooth field that the descriptors show, two are noise."""
    found = []
    for number in range(sections):
        rng = np.random.default_rng(number)
        places = np.stack(np.meshgrid(np.arange(12), np.arange(12)), -1).reshape(-1, 2) * 100.0
        field = np.sin(places[:, 0] / 300 + number) + np.cos(places[:, 1] / 250)
        features = np.column_stack([field + 0.2 * rng.standard_normal(144), *rng.standard_normal((5, 144))])
        rates = np.column_stack(
            [30 * np.exp(0.7 * field), 20 * np.exp(-0.7 * field), *np.full((2, 144), 25.0)]
        )
        counts = rng.poisson(np.column_stack([rates, np.full(144, 400.0)])).astype(float)
        found.append(
            EncodedSection(f"S{number}", f"P{number}", features.astype(np.float32), places, 100.0, counts,
                           ("UP", "DOWN", "NOISE1", "NOISE2", "REST"))
        )  # fmt: skip
    return found


def test_what_the_image_shows_comes_first():
    table = predictability(cohort(2))
    assert set(table.index[:2]) == {"UP", "DOWN"}
    assert (table["low"] <= table["image"]).all()
    assert (table["image"] <= table["high"]).all()
    assert table.loc["UP", "predictable"] > 0.4
    assert abs(table.loc["NOISE1", "predictable"]) < 0.3
    assert table.loc["UP", "low"] > table.loc["NOISE1", "image"]


def test_a_single_section_is_read_by_its_halves():
    assert set(predictability(cohort(1)).index[:2]) == {"UP", "DOWN"}
