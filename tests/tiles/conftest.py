"""A slide with one square of tissue, and tiles by their centres."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from histoscribe.slide import Level, Slide
from histoscribe.tiles import Tiles


@pytest.fixture(scope="session")
def slide() -> Slide:
    """1,600 × 2,000 px of glass at 0.5 µm per pixel, tissue in rows 400 to 1,200, columns 600 to 1,400."""
    random = np.random.default_rng(3)
    pixels = random.integers(228, 240, (1600, 2000, 3), dtype=np.uint8)
    pixels[400:1200, 600:1400] = random.integers(90, 200, (800, 800, 3), dtype=np.uint8)
    half = pixels.reshape(800, 2, 1000, 2, 3).mean(axis=(1, 3)).astype(np.uint8)
    return Slide(Path("made.tif"), (Level(pixels, 1.0), Level(half, 2.0)), mpp=0.5)


@pytest.fixture(scope="session")
def tiles_at() -> Callable[[ArrayLike], Tiles]:
    def make(centres: ArrayLike) -> Tiles:
        centres = np.asarray(centres, dtype=np.float64).reshape(-1, 2)
        return Tiles(centres, 100.0, tuple(f"t{number}" for number in range(len(centres))), 55.0)

    return make
