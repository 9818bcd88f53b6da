"""Small slides and sections made by hand, and napari's settings kept away from the user's."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histoscribe.section import Section
from histoscribe.slide import Level, Slide

GENES = ("EPCAM", "ERBB2", "COL1A1", "CD3E", "MKI67")


class Pixels:
    """A level that counts how often it is read."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.reads = array, 0
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim
        self.chunks = (64, 64, 3)

    def __getitem__(self, key: Any) -> np.ndarray:
        self.reads += 1
        return self.array[key]


@pytest.fixture
def make_slide() -> Callable[..., Slide]:
    def make(mpp: float | None = 0.5, first: float = 1.0, side: int = 400) -> Slide:
        rng = np.random.default_rng(1)
        levels = []
        for factor in (1, 4):
            pixels = rng.integers(120, 255, (side // factor, side // factor, 3)).astype(np.uint8)
            levels.append(Level(Pixels(pixels), first * factor))
        return Slide(Path("tissue.svs"), tuple(levels), mpp=mpp)

    return make


@pytest.fixture
def make_section(make_slide: Callable[..., Slide]) -> Callable[..., Section]:
    def make(
        name: str = "A1", kind: str = "measured", slide: Slide | None = None, genes: tuple[str, ...] = GENES
    ) -> Section:
        import anndata
        import pandas as pd
        from scipy import sparse

        rng = np.random.default_rng(len(name) + len(kind))
        rows, columns = np.mgrid[60:360:40, 60:360:40].reshape(2, -1)
        counts = rng.poisson(5, (len(rows), len(genes))).astype(np.float32)
        x = sparse.csr_matrix(counts) if kind == "measured" else np.log1p(counts)
        table = anndata.AnnData(
            x,
            obs=pd.DataFrame(index=[f"s{i}" for i in range(len(rows))]),
            var=pd.DataFrame(index=list(genes)),
            obsm={"spatial": np.column_stack([columns, rows]).astype(float)},
            uns={"histoscribe": {"kind": kind, "name": name}},
        )
        return Section(name, table, slide or make_slide(), 0.5, 15.0, 20.0, "P1")

    return make


@pytest.fixture
def section(make_section: Callable[..., Section]) -> Section:
    return make_section()


@pytest.fixture
def viewer() -> Any:
    """A viewer's model without a window."""
    from napari.components import ViewerModel

    return ViewerModel()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip before Qt is started, which would end the whole run without a screen."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    if (
        item.get_closest_marker("viewer")
        and sys.platform == "linux"
        and not any(map(os.environ.get, screens))
    ):
        pytest.skip("no screen: run under xvfb-run, or scripts/with-screen")


@pytest.fixture
def own_settings(tmp_path: Path) -> None:
    """The user's own settings out of reach."""
    from qtpy.QtCore import QSettings

    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path / "settings"))
