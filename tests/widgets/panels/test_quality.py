"""The Quality panel in a real window."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from napari.utils.colormaps.standardize_color import transform_color
from npe2 import PluginManifest
from skimage.color import deltaE_ciede2000, rgb2lab

from histoscribe.simulate import simulate_section
from histoscribe.simulate.section import slide_in_memory
from histoscribe.slide.quality.artefacts import CLASSES, PEN
from histoscribe.widgets.contributions.launch import PLUGIN, show
from histoscribe.widgets.layers.colours import table_of
from histoscribe.widgets.panels.quality.panel import INKS, OPACITY

SEEN_BY = {
    "most": np.eye(3),
    "protanopes": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopes": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopes": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
"""What becomes of linear RGB (Machado and others, 2009)."""

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
    for number, kind in enumerate(CLASSES[PEN:], 1):
        assert f"{INKS[kind]}'>■</span>&nbsp;{kind}&nbsp;(" in panel.words.text()
        np.testing.assert_allclose(shown.get_color(number), transform_color(INKS[kind])[0], atol=1e-6)
    panel.undo_button.click()
    assert shown not in window.layers


@pytest.mark.parametrize("eyes", SEEN_BY)
def test_classes_stand_off_spots_and_tissue_and_one_another(eyes: str) -> None:
    def lab(colours: Any) -> Any:
        linear = np.asarray(colours, float) ** 2.2 @ np.transpose(SEEN_BY[eyes])
        return rgb2lab(linear.clip(0, 1) ** (1 / 2.2))

    inks = transform_color(list(INKS.values()))[:, :3]
    apart = deltaE_ciede2000(lab(inks)[:, None], lab(inks)[None])
    assert apart[~np.eye(len(inks), dtype=bool)].min() > 14
    tissue = np.array(simulate_section(1, genes=14, size_um=800.0, mpp=4.0).slide.levels[0].pixels[:])
    for beneath in (table_of("viridis"), table_of("magma"), tissue.reshape(-1, 3)[::97] / 255):
        beneath = beneath[::5, :3]
        for ink in inks:
            covered = OPACITY * ink + (1 - OPACITY) * beneath
            assert deltaE_ciede2000(lab(covered)[:, None], lab(beneath)[None]).min() > 5
