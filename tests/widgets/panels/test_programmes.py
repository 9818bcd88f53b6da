"""The Programmes panel in a real window: learned from spots, painted, shares per region, kept models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from histoscribe.programmes import Programmes
from histoscribe.simulate import simulate_section
from histoscribe.widgets.contributions.launch import PLUGIN, show
from histoscribe.widgets.layers.maps import map_of
from histoscribe.widgets.layers.regions import add_region_layer, use_class
from histoscribe.widgets.panels.programmes.panel import OWN

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]


def test_programmes_are_found_painted_and_shared_out_to_regions(
    window: Any, qtbot: Any, tmp_path: Path
) -> None:
    section = simulate_section(3, genes=60, size_um=1200)
    Programmes(number=3).fit(section).save(tmp_path / "model")
    show(window, [section])
    panel = window.window.add_plugin_dock_widget(PLUGIN, "Programmes")[1]
    assert panel.model.value == OWN
    panel.model.folder = tmp_path / "model"
    shapes = add_region_layer(window)
    use_class(shapes, "core", (200, 0, 0))
    shapes.add_polygons([np.array([[300, 300], [300, 900], [900, 900], [900, 300.0]])])
    panel.reset_choices()
    panel.run_button.click()
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=120_000)
    frame = panel.table.frame
    assert set(frame["region"]) == {"core", "outside"}
    assert frame.groupby("region")["share"].sum().to_numpy() == pytest.approx(1, abs=1e-3)
    painted = map_of(window.layers[-1])
    assert painted.title == frame.index[0]
    assert 0 <= painted.values.min() <= painted.values.max() <= 1
    panel.shown.value = "low"
    assert (map_of(window.layers[-1]).values <= painted.values + 1e-6).all()
    other = int(np.flatnonzero(frame.index != painted.title)[0])
    panel.view.setCurrentIndex(panel.table.index(other))
    assert map_of(window.layers[-1]).title == frame.index[other]
