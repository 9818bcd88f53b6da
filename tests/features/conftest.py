"""Painted tissue whose stain, nuclei and grain are known, at any µm per pixel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Paint = Callable[..., NDArray[np.uint8]]

_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])


def _paint(
    seed: int = 0,
    *,
    side_um: float = 512,
    mpp: float = 1.0,
    hematoxylin: float = 0.05,
    eosin: float = 0.3,
    nuclei: int = 400,
    radius_um: float = 4.0,
    stretch: float = 1.0,
    darkness: float = 0.6,
    grain_um: float = 12.0,
    holes: int = 0,
) -> NDArray[np.uint8]:
    """One RGB crop: grainy eosin, dark ellipses that all lie the same way, bare discs."""
    random = np.random.default_rng(seed)
    side = round(side_um / mpp)
    stained = np.empty((2, side, side))
    stained[0] = hematoxylin
    coarse = gaussian_filter(random.standard_normal((64, 64)), grain_um / side_um * 64, mode="wrap")
    where = np.minimum((np.arange(side) * 64) // side, 63)
    stained[1] = eosin * (1 + 0.2 * (coarse / coarse.std())[np.ix_(where, where)])
    rows, columns = (np.indices((side, side)) + 0.5) * mpp
    for row, column in random.uniform(0, side_um, (nuclei, 2)):
        reach = radius_um * stretch + 2
        near = np.s_[
            max(0, int((row - reach) / mpp)) : int((row + reach) / mpp) + 1,
            max(0, int((column - reach) / mpp)) : int((column + reach) / mpp) + 1,
        ]
        distance = np.hypot((rows[near] - row) / stretch, (columns[near] - column) * stretch)
        stained[0][near] += darkness * np.clip(radius_um + 0.5 - distance, 0, 1)
    for row, column in random.uniform(0, side_um, (holes, 2)):
        stained[:, np.hypot(rows - row, columns - column) < 15 + 3 * holes] = 0
    density = np.tensordot(stained, _STAINS, axes=(0, 0))
    return np.clip(np.round(256 * 10**-density - 1), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def paint() -> Paint:
    """Paint a crop; see `_paint`."""
    return _paint


@pytest.fixture(scope="session")
def crops() -> NDArray[np.uint8]:
    """Seven different crops of 512 × 512 pixels at 1 µm per pixel."""
    return np.stack(
        [
            _paint(
                seed,
                nuclei=100 * seed,
                radius_um=3 + 0.3 * seed,
                stretch=1 + 0.1 * seed,
                eosin=0.1 + 0.05 * seed,
                holes=3 * seed,
            )
            for seed in range(7)
        ]
    )
