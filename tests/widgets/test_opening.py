"""How long the plugin makes one wait before anything is done: measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.viewer

PREDICT_PANEL = 1.0
OTHER_PANELS = 1.5
SCRIPT = """
import sys, time
import napari
viewer = napari.Viewer(show=False)
from qtpy.QtWidgets import QApplication
for name in ("Predict", "Genes", "Export", "First steps"):
    start = time.process_time(), time.perf_counter()
    viewer.window.add_plugin_dock_widget("napari-histoscribe", name)
    QApplication.processEvents()
    print("opened", name.replace(" ", "-"), time.process_time() - start[0], time.perf_counter() - start[1])
print("heavy", *sorted({"torch", "anndata", "scanpy", "zarr", "matplotlib"} & set(sys.modules)))
viewer.close()
"""


def test_panels_open_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=180
    )
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith(("opened", "heavy"))]
    sys.stdout.write(done.stdout)
    seconds = {line[1]: float(line[2]) for line in lines if line[0] == "opened"}
    assert seconds.pop("Predict") < PREDICT_PANEL
    assert all(one < OTHER_PANELS for one in seconds.values()), seconds
    assert lines[-1] == ["heavy"]
