"""The Classify panel in a real window: spots as one sample, regions, a table, and the genes behind a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from histoscribe.features import encoder_named
from histoscribe.labeller import Bag, Labeller
from histoscribe.simulate import simulate_section
from histoscribe.widgets.contributions.launch import PLUGIN, show
from histoscribe.widgets.layers.layers import add_layer, slide_layer
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


def test_the_samples_of_a_table_are_asked_together(window: Any, qtbot: Any, tmp_path: Path) -> None:
    section = simulate_section(3, genes=120, size_um=1200)
    show(window, [section])
    panel = window.window.add_plugin_dock_widget(PLUGIN, "Classify")[1]
    assert panel.together.native.isHidden()
    samples = [f"sample {number}" for number in range(12)]
    counts = section.table.X[: 12 * 8].toarray().reshape(12, 8, -1).sum(axis=1)
    pd.DataFrame(counts, samples, section.genes).to_csv(tmp_path / "bulk.csv")
    panel.source.open(tmp_path / "bulk.csv")
    assert not panel.together.native.isHidden()
    for asked in (False, True):
        panel.together.value = asked
        panel.run_button.click()
        qtbot.waitUntil(lambda: not panel.tasks.running, timeout=120_000)
        assert panel.table.frame.index.tolist() == samples
        assert ("samples were asked" in panel.words.text()) is asked


def test_a_slide_is_labelled_and_its_attention_painted(window: Any, qtbot: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    encoder = encoder_named("builtin")
    bags = [
        Bag(f"s{n}", f"p{n}", random.normal(n % 2, 1, (30, encoder.dimension)).astype(np.float32))
        for n in range(12)
    ]
    labels = pd.DataFrame({"kind": ["a", "b"] * 6, "grade": [1, 2, 3] * 4}, [bag.name for bag in bags])
    model = Labeller(steps=8, pooling="attention", device="cpu").fit(bags, labels, encoder=encoder)
    model.save(tmp_path / "model")
    section = simulate_section(3, genes=20, size_um=600)
    add_layer(window, slide_layer(section.slide))
    panel = window.window.add_plugin_dock_widget(PLUGIN, "Classify")[1]
    panel.reset_choices()
    panel.labeller.folder = tmp_path / "model"
    panel.label_button.click()
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=300_000)
    assert panel.table.frame.index.tolist() == ["kind", "grade"]
    assert set(panel.table.frame["told"]) == {"unknown"}  # made-up descriptors are unlike all tissue
    assert window.layers[-1].name == "attention: kind"
    assert np.nanmean(window.layers[-1].data) == pytest.approx(1, abs=1e-3)
    panel.view.setCurrentIndex(panel.table.index(1))
    panel.paint()
    assert window.layers[-1].name.startswith("attention: grade: ")
    panel.undo()
    assert not [layer for layer in window.layers if layer.name.startswith("attention")]
