"""The Quality panel in a real window."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from npe2 import PluginManifest

from histoscribe.simulate import simulate_section
from histoscribe.simulate.section import slide_in_memory
from histoscribe.widgets.contributions.launch import PLUGIN, show

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]


def test_pen_is_shown_and_its_spots_are_named(make_napari_viewer_proxy: Any, npe2pm: Any, qtbot: Any) -> None:
    npe2pm.register(PluginManifest.from_distribution(PLUGIN), warn_disabled=False)
    window = make_napari_viewer_proxy()
    section = simulate_section(1, genes=14, size_um=1472.0, mpp=2.0)
    pixels = np.array(section.slide.levels[0].pixels[:])
    pixels[:, 300:380] = (pixels[:, 300:380] * (0.1, 0.25, 0.75)).astype(np.uint8)
    section = replace(section, slide=slide_in_memory(pixels, 2.0, "penned"))
    show(window, [section])
    panel = window.window.add_plugin_dock_widget(PLUGIN, "Quality")[1]
    panel.run_button.click()
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=120_000)
    shown = panel.added
    assert shown.get_value((700.0, 680.0), world=True) == 1
    assert not shown.get_value((700.0, 200.0), world=True)
    quality = section.table.obs["quality"].to_numpy()
    inside = np.abs(section.centres[:, 1] - 340) < 25
    assert (quality[inside] == "pen").all()
    assert (quality[np.abs(section.centres[:, 1] - 340) > 70] != "pen").all()
    assert "pen" in panel.words.text()
    panel.undo_button.click()
    assert shown not in window.layers
