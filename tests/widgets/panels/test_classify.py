"""The Classify panel in a real window: spots as one sample, regions, a table, and the genes behind a call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from histoscribe.simulate import simulate_section
from histoscribe.widgets.contributions.launch import PLUGIN, show
from histoscribe.widgets.layers.regions import add_region_layer, use_class

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]


def test_a_section_and_its_regions_are_told_with_reasons(window: Any, qtbot: Any) -> None:
    section = simulate_section(3, genes=120, size_um=1200)
    show(window, [section])
    panel = window.window.add_plugin_dock_widget(PLUGIN, "Classify")[1]
    shapes = add_region_layer(window)
    use_class(shapes, "core", (200, 0, 0))
    shapes.add_polygons([np.array([[300, 300], [300, 900], [900, 900], [900, 300.0]])])
    panel.reset_choices()
    assert not panel.why_button.isEnabled()
    panel.run_button.click()
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=120_000)
    assert panel.table.frame.index.tolist() == [section.name, "core"]
    assert (panel.table.frame["class"] == "unknown").all()  # simulated tissue is none of the bundled model's
    assert "genes are in the table" in panel.words.text()
    panel.view.setCurrentIndex(panel.table.index(1))
    panel.why_button.click()
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=120_000)
    assert panel.words.text().startswith("core: its lead")
    assert panel.words.text().count(",") == 9
