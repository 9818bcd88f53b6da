"""A panel opens without the libraries that it needs only once it works; how quickly: benchmarks/viewer.py."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.viewer

SCRIPT = """
import sys
import napari
viewer = napari.Viewer(show=False)
from qtpy.QtWidgets import QApplication
for name in ("Predict", "Genes", "Export", "First steps"):
    viewer.window.add_plugin_dock_widget("napari-histoscribe", name)
    QApplication.processEvents()
print("heavy", *sorted({"torch", "anndata", "scanpy", "zarr", "matplotlib"} & set(sys.modules)))
viewer.close()
"""


def test_panels_open_without_heavy_libraries() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=180
    )
    assert "heavy" in done.stdout.splitlines()
