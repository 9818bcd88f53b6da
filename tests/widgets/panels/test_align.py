"""The Align panel in a real window: by itself, by clicks, by hand, undone, kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npe2 import PluginManifest

from histoscribe.record import record_of
from histoscribe.section import Section, open_section, write_section
from histoscribe.section.registration.transform import about, through
from histoscribe.simulate import simulate_section
from histoscribe.simulate.section import slide_in_memory
from histoscribe.tiles import Region
from histoscribe.widgets.contributions.launch import PLUGIN, show
from histoscribe.widgets.contributions.readers import settle
from histoscribe.widgets.layers.layers import add_layer, moved, section_of, slide_layer, spot_layer
from histoscribe.widgets.layers.regions import described_regions, regions_of
from histoscribe.widgets.layers.rescaling import lies_on

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]
SIDE, MPP = 736, 2.0


@pytest.fixture(scope="module")
def simulated() -> Section:
    return simulate_section(1, genes=14, size_um=SIDE * MPP, mpp=MPP)


@pytest.fixture
def window(make_napari_viewer_proxy: Any, npe2pm: Any) -> Any:
    npe2pm.register(PluginManifest.from_distribution(PLUGIN), warn_disabled=False)
    return make_napari_viewer_proxy()


@pytest.fixture
def panel(window: Any, simulated: Section) -> Any:
    """The section, and a slide of the same tissue turned by a quarter beside it."""
    simulated.table.uns["histoscribe"].pop("aligned_affine", None)
    show(window, [simulated])
    pixels = np.rot90(np.asarray(simulated.slide.levels[0].pixels[:]))
    described = slide_layer(slide_in_memory(np.ascontiguousarray(pixels), MPP, "rescanned"))
    described[1]["affine"] = about(np.zeros(2), 0, shift=(0.0, 1.2 * SIDE * MPP))
    fixed = add_layer(window, described)
    panel = window.window.add_plugin_dock_widget(PLUGIN, "Align")[1]
    panel.moving.value = next(layer for layer in window.layers if section_of(layer) is not None)
    panel.fixed.value = fixed
    return panel


TRUTH = about(np.full(2, (SIDE - 1) / 2 * MPP), 90)


def test_a_tissue_is_found_moved_kept_and_put_back(
    window: Any, panel: Any, simulated: Section, qtbot: Any
) -> None:
    moving, fixed = panel.moving.value, panel.fixed.value
    region = Region("Tumour", (1, 2, 3), np.array([(200, 200), (200, 300), (350, 300)], float))
    drawn = add_layer(window, described_regions([region], MPP, "drawn", moving))
    before = moved(moving)
    panel.run_button.click()
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=120_000)
    places = simulated.centres_um
    there = through(lies_on(moving, fixed), places)
    assert np.median(np.hypot(*(there - through(TRUTH, places)).T)) < 3
    (back,) = regions_of(drawn, moving)
    np.testing.assert_allclose(back.polygon, region.polygon, atol=1e-6)
    assert all(np.allclose(moved(one), moved(moving)) for one in window.layers if one not in (fixed, drawn))
    kept = record_of(simulated.table).aligned
    assert (kept.name, kept.method) == ("rescanned", "automatic")
    assert "of its structure agrees" in panel.words.text()
    panel.map_button.click()
    shown = window.layers[-1]
    assert shown.name == "residual of the alignment"
    assert shown.features["µm"].median() < 3
    panel.undo_button.click()
    np.testing.assert_allclose(moved(moving), before)
    assert record_of(simulated.table).aligned is None
    assert shown not in window.layers


def test_pairs_by_clicks_lay_spots_on_the_slide(window: Any, panel: Any, simulated: Section) -> None:
    moving, fixed = panel.moving.value, panel.fixed.value
    places = np.array([(300.0, 400.0), (900.0, 500.0), (600.0, 1000.0), (700.0, 700.0)])
    assert not panel.pairs_button.isEnabled()
    panel.click_button.setChecked(True)
    for number, place in enumerate(places):
        error = (60.0, 0.0) if number == 3 else (0.0, 0.0)
        for layer, at in ((moving, place), (fixed, through(TRUTH, [place])[0] + error)):
            panel.set_place(through(moved(layer), [at])[0])
    assert panel.table.frame["left"].iloc[3] == pytest.approx(60)
    panel.drop()
    panel.pairs_button.click()
    np.testing.assert_allclose(lies_on(moving, fixed), TRUTH, atol=1e-6)
    panel.lay_button.click()
    laid = section_of(panel.added)
    np.testing.assert_allclose(laid.centres_um, through(TRUTH, simulated.centres_um), atol=1e-6)
    np.testing.assert_allclose(
        panel.added.data_to_world(laid.centres_um[5]), moving.data_to_world(moving.data[5])
    )
    panel.set_place(np.array([-5e4, 0.0]))
    assert len(panel.pairs) == 3
    again = panel.kept()
    panel.pairs = []
    panel.take_back(again)
    assert len(panel.pairs) == len(panel.table.rows) == 3


def test_by_hand_and_back_from_a_file(window: Any, panel: Any, simulated: Section, tmp_path: Path) -> None:
    moving, fixed = panel.moving.value, panel.fixed.value
    before = lies_on(moving, fixed)
    for _ in range(4):
        panel.nudge(90)
    panel.nudge(0, mirror=True)
    panel.nudge(0, mirror=True)
    np.testing.assert_allclose(lies_on(moving, fixed), before, atol=1e-6)
    for field, value in zip(panel.numbers, (30, -20, 0, 110), strict=True):
        field.value = value
    panel.move_button.native.click()
    lies = lies_on(moving, fixed)
    np.testing.assert_allclose(lies[:2, :2], 1.1 * before[:2, :2], atol=1e-9)
    write_section(simulated, tmp_path / "kept.h5ad")
    for layer in [one for one in window.layers if one is not fixed]:
        window.layers.remove(layer)
    back = open_section(tmp_path / "kept.h5ad")
    spots = add_layer(window, spot_layer(back))
    settle(window)
    np.testing.assert_allclose(lies_on(spots, fixed), lies, atol=1e-6)
