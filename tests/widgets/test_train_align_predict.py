"""From measured sections to a painted new slide, by clicks and keys alone: Train, Align, Predict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt

from histoscribe.section import write_section
from histoscribe.simulate import simulate_section
from histoscribe.simulate.section import slide_in_memory
from histoscribe.slide import open_slide, write_slide
from histoscribe.widgets.contributions.launch import PLUGIN
from histoscribe.widgets.layers.layers import is_same, kind_of, section_of, slide_of
from histoscribe.widgets.layers.painting import spot_layers
from histoscribe.widgets.state.state import state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]

MPP = 2.0


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """Two measured sections with their slides, and a new scan of the second, turned by a quarter."""
    for seed in (1, 2):
        made = simulate_section(seed, name=f"K{seed}", genes=14, size_um=1470, mpp=MPP)
        write_slide(made.slide, tmp_path / f"K{seed}.tif")
        slide = open_slide(tmp_path / f"K{seed}.tif").with_mpp(MPP)
        write_section(replace(made, slide=slide), tmp_path / f"K{seed}.h5ad")
    turned = np.ascontiguousarray(np.rot90(np.asarray(made.slide.levels[0].pixels[:])))
    write_slide(slide_in_memory(turned, MPP, "rescan"), tmp_path / "rescan.tif")
    return tmp_path


@pytest.mark.slow
def test_from_measured_sections_to_a_painted_new_slide(
    make_napari_viewer_proxy: Any,
    registered: None,
    person_at: Callable[[Any], Any],
    clinic: Path,
    quick_training: None,
) -> None:
    person = person_at(make_napari_viewer_proxy(show=True))
    window = person.window
    window.window.resize(1300, 900)
    for name in ("K1.h5ad", "K2.h5ad"):
        window.open(str(clinic / name), plugin=PLUGIN)

    panel = person.panel("Train")
    line = panel.name.native
    line.selectAll()
    person.qtbot.keyClicks(line, "ours")
    person.click(panel.run_button)
    person.wait_for(panel)
    assert panel.words.text().count("Held out K") == 2

    window.open(str(clinic / "rescan.tif"), plugin=PLUGIN)
    person.click(panel.list, 0, panel.table)
    panel = person.panel("Align")
    new = next(layer for layer in window.layers if "rescan" in layer.name)
    old = spot_layers(window)[1]
    panel.moving.value, panel.fixed.value = old, new
    person.click(panel.run_button)
    person.wait_for(panel)
    assert "overlaps" in panel.words.text()
    person.click(panel.lay_button)
    laid = spot_layers(window)[-1]
    assert laid.name == "K2 measured on rescan"
    assert is_same(section_of(laid).slide, slide_of(new))

    panel = person.panel("Predict")
    panel.model.known.value = clinic / "models" / "ours"
    panel.target.value = laid
    panel.place.value = "grid"
    panel.pitch.value = 80
    person.click(panel.run_button)
    person.wait_for(panel)
    predicted = spot_layers(window)[-1]
    assert kind_of(section_of(predicted)) == "predicted"
    low, high = new.extent.world
    middle = predicted.extent.world.mean(axis=0)
    assert ((low < middle) & (middle < high)).all()  # on the new slide, not where the first one lies

    panel = person.panel("Genes")
    gene = section_of(predicted).genes[3]
    person.qtbot.keyClicks(panel.search, gene.lower())
    person.qtbot.keyClick(panel.search, Qt.Key.Key_Return)
    assert state_of(window).gene == gene
    assert gene in predicted.features
    errors = [note.message for note in notification_manager.records if str(note.severity) == "error"]
    assert errors == []
