"""Planted pen, blur, folds and bubbles on simulated tissue; clean tissue stays; strips leave no seams."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from histoscribe.simulate import simulate_section
from histoscribe.simulate.section import slide_in_memory
from histoscribe.slide.quality import network
from histoscribe.slide.quality.artefacts import BLUR, BUBBLE, CELL_UM, GLASS, PEN, slide_quality

MPP = 2.0


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.asarray(simulate_section(1, genes=14, size_um=2400.0, mpp=MPP).slide.levels[0].pixels[:])


def test_planted_artefacts_are_found_where_they_are(pixels: np.ndarray) -> None:
    image = pixels.astype(np.float32)
    rows, columns = np.mgrid[: len(image), : image.shape[1]]
    image[:, 300:360] *= (0.1, 0.25, 0.75)
    round_ = np.hypot(rows - 700, columns - 850)
    image[round_ < 150] = gaussian_filter(image, (4, 4, 0))[round_ < 150]
    ring = np.hypot(rows - 380, columns - 750)
    image[ring < 150] = 0.55 * image[ring < 150] + 110
    image *= (1 - 0.75 * np.exp(-(((ring - 150) / 6) ** 2)))[..., None]
    found = slide_quality(slide_in_memory(image.clip(0, 255).astype(np.uint8), MPP, "planted"))
    at = {PEN: (600, 330), BLUR: (700, 850), BUBBLE: (380, 750)}
    for kind, place in at.items():
        assert found.at([place])[0] == kind
    assert found.shares["pen"] > 0.03
    assert found.at([(-5, 10), (10**6, 10)]).tolist() == [GLASS, GLASS]


def test_clean_tissue_is_hardly_refused(pixels: np.ndarray) -> None:
    found = slide_quality(slide_in_memory(pixels, MPP, "clean"))
    assert found.cell == CELL_UM / MPP
    assert found.shares["tissue"] > 0.9
    empty = slide_quality(slide_in_memory(np.full_like(pixels, 245), MPP, "empty"))
    assert (empty.classes == GLASS).all()


def test_strips_leave_no_seams(pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    tall = np.concatenate([pixels, pixels[::-1]])[: 16 * 140, :320]
    seen = network.seen_in(tall, np.percentile(tall, 95, axis=(0, 1)))
    on = np.ones((140, 20), dtype=np.bool_)
    by_strips = network.chances(seen, on)
    np.testing.assert_allclose(by_strips.sum(axis=0), 1, atol=1e-5)
    monkeypatch.setattr(network, "_STRIP", 140)
    np.testing.assert_allclose(by_strips, network.chances(seen, on), atol=1e-4)
