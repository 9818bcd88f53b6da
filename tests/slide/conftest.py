"""Pictures, pyramids and damage that the tests of slides share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="session")
def picture() -> Callable[..., Pixels]:
    """Make RGB noise with coarse structure: shape (rows, columns, 3)."""

    def make(rows: int, columns: int, seed: int = 0) -> Pixels:
        random = np.random.default_rng(seed)
        coarse = random.integers(60, 200, (rows // 32 + 1, columns // 32 + 1, 3))
        smooth = coarse.repeat(32, axis=0).repeat(32, axis=1)[:rows, :columns]
        return (smooth + random.integers(-40, 40, (rows, columns, 3))).clip(0, 255).astype(np.uint8)

    return make


@pytest.fixture
def write_tiff(tmp_path: Path) -> Callable[..., Path]:
    """Write a pyramid, one page a level, each level every second pixel of the one before."""

    def write(pixels: Pixels, levels: int = 1, name: str = "slide.tif", **options: object) -> Path:
        options = {"photometric": "rgb", "tile": (64, 64), "metadata": None, **options}
        path = tmp_path / name
        with tifffile.TiffWriter(path, bigtiff=bool(options.pop("bigtiff", False))) as tiff:
            for number in range(levels):
                tiff.write(pixels[:: 2**number, :: 2**number], subfiletype=int(number > 0), **options)
        return path

    return write
