"""Regions: classes of drawn shapes, QuPath's files, the section's own file, what differs between classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QColor, QEnterEvent
from qtpy.QtWidgets import QApplication

from histoscribe.section import Section, open_section
from histoscribe.tiles import Region, read_regions, write_regions
from histoscribe.widgets.contributions.launch import PLUGIN, show
from histoscribe.widgets.layers.painting import expression, spot_layers
from histoscribe.widgets.layers.regions import PALETTE, class_colours, classes_in, drawn_regions
from histoscribe.widgets.state.state import state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]

# The section's spots lie at 60, 100, … 340 pixels of 0.5 µm.
UPPER = np.array([[20, 20], [20, 180], [95, 180], [95, 20]], float)
LOWER = np.array([[105, 20], [105, 180], [180, 180], [180, 20]], float)


@pytest.fixture
def panel(window: Any, make_section: Callable[..., Section]) -> Any:
    section = make_section()
    counts = section.table.X.toarray()
    counts[: len(counts) // 2, 0] += 40
    section.table.X = type(section.table.X)(counts)
    show(window, [section])
    return window.window.add_plugin_dock_widget(PLUGIN, "Regions")[1]


def type_name(panel: Any, row: int, name: str) -> None:
    """Type a class's name into its cell."""
    panel.classes.model.setData(panel.classes.model.index(row, 0), name)


@pytest.fixture
def drawn(window: Any, panel: Any, qtbot: Any) -> Any:
    """Two classes, each with one polygon, drawn after pressing the buttons."""
    for name, polygon in (("Tumour", UPPER), ("Stroma", LOWER)):
        qtbot.mouseClick(panel.buttons["add"], Qt.MouseButton.LeftButton)
        type_name(panel, panel.classes.model.rowCount() - 1, name)
        qtbot.mouseClick(panel.buttons["polygon"], Qt.MouseButton.LeftButton)
        layer = window.layers.selection.active
        assert layer.mode == "add_polygon"
        layer.mode = "pan_zoom"
        layer.add_polygons(polygon)
    return panel


def test_what_is_drawn_gets_the_marked_class_and_its_colour(drawn: Any) -> None:
    layer = drawn.drawn.value
    assert classes_in(layer) == ["Tumour", "Stroma"]
    assert class_colours(layer) == {"Tumour": PALETTE[0], "Stroma": PALETTE[1]}
    chosen = drawn.classed()
    half = len(chosen.labels) // 2
    assert (chosen.labels[:half] == "Tumour").all()
    assert (chosen.labels[half:] == "Stroma").all()
    assert drawn.classes.model.index(0, 2).data() == str(half)


def test_renaming_and_recolouring_reach_the_shapes(drawn: Any) -> None:
    drawn.classes.mark("Tumour")
    type_name(drawn, 0, "In situ")
    drawn.choose_colour(QColor(10, 20, 30))
    assert class_colours(drawn.drawn.value) == {"In situ": (10, 20, 30), "Stroma": PALETTE[1]}
    type_name(drawn, 0, "Stroma")
    assert drawn.classes.model.index(0, 0).data() == "In situ"


def test_a_selected_shape_is_given_another_class(drawn: Any) -> None:
    drawn.drawn.value.selected_data = {0}
    drawn.classes.mark("Stroma")
    drawn.drawn.value.selected_data = {0}
    drawn.give()
    assert classes_in(drawn.drawn.value) == ["Stroma", "Stroma"]


def test_one_genes_spread_is_shown_by_class(window: Any, drawn: Any) -> None:
    state_of(window).choose("EPCAM")
    frame = drawn.statistics.frame
    (layer,) = spot_layers(window)
    values = expression(layer.metadata["section"], "EPCAM")
    assert frame.at["Tumour", "mean"] == pytest.approx(values[: len(values) // 2].mean(), rel=1e-5)
    assert frame.at["Tumour", "area_mm2"] == pytest.approx(0.16 * 0.075)
    assert "Tumour" in drawn.violins.toolTip()
    assert not drawn.violins.grab().isNull()


def test_differential_genes_are_found_and_choose_the_gene(
    window: Any, drawn: Any, qtbot: Any, tmp_path: Path
) -> None:
    analysis = drawn
    analysis.tabs.setCurrentIndex(1)
    analysis.first.value = "Tumour"
    analysis.second.value = "Stroma"
    qtbot.mouseClick(analysis.compare_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: analysis.genes.frame is not None, timeout=60_000)
    found = analysis.genes.frame
    assert found["effect"].idxmax() == "EPCAM"
    assert found.at["EPCAM", "p_adjusted"] < 1e-4
    assert "effective number of spots" in analysis.words.text()
    analysis.views["genes"].setCurrentIndex(analysis.genes.index(list(found.index).index("EPCAM"), 0))
    assert state_of(window).gene == "EPCAM"
    analysis.save_table(analysis.genes, tmp_path / "genes.csv")
    assert (tmp_path / "genes.csv").read_text().startswith("gene,score")


def test_neighbourhoods_and_patterns_are_computed(drawn: Any, qtbot: Any) -> None:
    analysis = drawn
    analysis.neighbours_button.click()
    qtbot.waitUntil(lambda: analysis.space.frame is not None and not analysis.tasks.running, timeout=60_000)
    assert analysis.space.frame.at["Tumour", "Tumour"] > 0
    analysis.moran_button.click()
    qtbot.waitUntil(lambda: not analysis.tasks.running, timeout=60_000)
    assert analysis.space.frame.index[0] == "EPCAM"


def test_too_few_spots_are_told(drawn: Any, qtbot: Any) -> None:
    drawn.drawn.value.data = [UPPER, np.array([[0, 0], [0, 1], [1, 1]])]
    drawn.refresh()
    drawn.neighbours_button.click()
    qtbot.waitUntil(lambda: not drawn.tasks.running, timeout=60_000)
    assert "at least two classes" in notification_manager.records[-1].message


def test_qupaths_regions_come_and_go_as_they_were(panel: Any, tmp_path: Path) -> None:
    hole = np.array([[100, 100], [100, 120], [120, 110]], float)
    regions = [
        Region("Tumor", (200, 0, 0), 2 * UPPER, (hole,), "no. 1"),
        Region("Immune cells", (160, 90, 160), 2 * LOWER),
    ]
    panel.open_regions(write_regions(regions, tmp_path / "in.geojson"))
    assert class_colours(panel.drawn.value) == {"Tumor": (200, 0, 0), "Immune cells": (160, 90, 160)}
    panel.save_regions(tmp_path / "out.geojson")
    assert read_regions(tmp_path / "out.geojson") == regions
    panel.open_regions(tmp_path / "nowhere.geojson")
    assert "check the path" in notification_manager.records[-1].message


def test_regions_travel_in_the_sections_file(window: Any, drawn: Any, tmp_path: Path) -> None:
    drawn.keep_regions(tmp_path / "A1.h5ad")
    again = open_section(tmp_path / "A1.h5ad")
    before = len(window.layers)
    show(window, [again])
    (layer,) = [layer for layer in window.layers[before:] if "regions" in layer.name]
    assert classes_in(layer) == ["Tumour", "Stroma"]
    np.testing.assert_allclose(layer.data[0][:4], UPPER)


def test_drawn_regions_can_be_limited_to_a_class(drawn: Any) -> None:
    (only,) = drawn_regions(drawn.drawn.value, drawn.spots.value, "Stroma")
    np.testing.assert_allclose(only, 2 * LOWER)


def test_the_predict_panel_offers_the_classes_drawn(window: Any, drawn: Any, qtbot: Any) -> None:
    panel = window.window.add_plugin_dock_widget(PLUGIN, "Predict")[1]
    type_name(drawn, 0, "In situ")
    chooser = panel.region.only
    QApplication.sendEvent(panel, QEnterEvent(QPointF(), QPointF(), QPointF()))
    assert chooser.values == ["", "In situ", "Stroma"]
    assert chooser.current_choice == "every class"


def test_removing_the_layers_leaves_an_empty_panel(window: Any, drawn: Any) -> None:
    window.layers.clear()
    assert drawn.statistics.frame is None
    drawn.save_regions(Path("never.geojson"))
    assert not Path("never.geojson").exists()
