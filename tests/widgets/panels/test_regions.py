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

from histoscribe.section import Section, log_gene, open_section
from histoscribe.tiles import Region, is_locked, read_regions, write_regions
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers.painting import rim, spot_layers
from histoscribe.widgets.layers.regions import PALETTE, class_colours, classes_in, drawn_regions
from histoscribe.widgets.state.state import state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]

# The section's spots lie at 60, 100, … 340 pixels of 0.5 µm.
UPPER = np.array([[20, 20], [20, 180], [95, 180], [95, 20]], float)
LOWER = np.array([[105, 20], [105, 180], [180, 180], [180, 20]], float)


@pytest.fixture
def panel(viewer: Any, panel_for: Callable[[str], Any], make_section: Callable[..., Section]) -> Any:
    section = make_section()
    counts = section.table.X.toarray()
    counts[: len(counts) // 2, 0] += 40
    section.table.X = type(section.table.X)(counts)
    show(viewer, [section])
    return panel_for("Regions")


class Whole(np.ndarray):
    """Pixels in one chunk."""

    chunks = (400, 400, 3)

    def __new__(cls, pixels: np.ndarray) -> Whole:
        return np.ascontiguousarray(pixels).view(cls)


def type_name(panel: Any, row: int, name: str) -> None:
    """Type a class's name into its cell."""
    panel.classes.model.setData(panel.classes.model.index(row, 0), name)


@pytest.fixture
def drawn(viewer: Any, panel: Any, qtbot: Any) -> Any:
    """Two classes, each with one polygon, drawn after pressing the buttons."""
    for name, polygon in (("Tumour", UPPER), ("Stroma", LOWER)):
        qtbot.mouseClick(panel.buttons["add"], Qt.MouseButton.LeftButton)
        type_name(panel, panel.classes.model.rowCount() - 1, name)
        qtbot.mouseClick(panel.buttons["polygon"], Qt.MouseButton.LeftButton)
        layer = viewer.layers.selection.active
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


def test_one_genes_spread_is_shown_by_class(viewer: Any, drawn: Any) -> None:
    state_of(viewer).choose("EPCAM")
    frame = drawn.statistics.frame
    (layer,) = spot_layers(viewer)
    values = log_gene(layer.metadata["section"], "EPCAM")
    assert frame.at["Tumour", "mean"] == pytest.approx(values[: len(values) // 2].mean(), rel=1e-5)
    assert frame.at["Tumour", "area_mm2"] == pytest.approx(0.16 * 0.075)
    assert "Tumour" in drawn.violins.toolTip()
    assert not drawn.violins.grab().isNull()


def test_differential_genes_are_found_and_choose_the_gene(
    viewer: Any, drawn: Any, qtbot: Any, tmp_path: Path
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
    assert state_of(viewer).gene == "EPCAM"
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
    assert "p_adjusted" in analysis.space.frame


def test_tables_and_figures_go_with_the_spots_they_are_of(
    viewer: Any, drawn: Any, make_section: Callable[..., Section], qtbot: Any
) -> None:
    drawn.first.value, drawn.second.value = "Tumour", "Stroma"
    for start in (drawn.compare, drawn.moran_button.click, drawn.draw_figures):
        start()
        qtbot.waitUntil(lambda: not drawn.tasks.running, timeout=60_000)
    assert drawn.genes.frame is not None
    assert drawn.save_figure_button.isEnabled()
    show(viewer, [make_section(kind="predicted")])
    drawn.spots.value = next(layer for layer in spot_layers(viewer) if layer is not drawn.spots.value)
    assert drawn.genes.frame is None
    assert drawn.space.frame is None
    assert not drawn.save_figure_button.isEnabled()
    assert drawn.picture.pixmap().isNull()
    assert drawn.words.text() == ""


def test_patterns_of_predicted_spots_have_no_p_values(
    viewer: Any, panel_for: Callable[[str], Any], make_section: Callable[..., Section], qtbot: Any
) -> None:
    show(viewer, [make_section(kind="predicted")])
    analysis = panel_for("Regions")
    qtbot.mouseClick(analysis.buttons["polygon"], Qt.MouseButton.LeftButton)
    analysis.drawn.value.add_polygons(UPPER)
    qtbot.mouseClick(analysis.moran_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: analysis.space.frame is not None and not analysis.tasks.running, timeout=60_000)
    assert list(analysis.space.frame) == ["I"]
    assert "predicted" in analysis.words.text()


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


def test_regions_travel_in_the_sections_file(viewer: Any, drawn: Any, tmp_path: Path) -> None:
    drawn.keep_regions(tmp_path / "A1.h5ad")
    again = open_section(tmp_path / "A1.h5ad")
    before = len(viewer.layers)
    show(viewer, [again])
    (layer,) = [layer for layer in viewer.layers[before:] if "regions" in layer.name]
    assert classes_in(layer) == ["Tumour", "Stroma"]
    np.testing.assert_allclose(layer.data[0][:4], UPPER)


def test_drawn_regions_can_be_limited_to_a_class(drawn: Any) -> None:
    (only,) = drawn_regions(drawn.drawn.value, drawn.spots.value, "Stroma")
    np.testing.assert_allclose(only, 2 * LOWER)


def test_the_predict_panel_offers_the_classes_drawn(
    viewer: Any, panel_for: Callable[[str], Any], drawn: Any, qtbot: Any
) -> None:
    panel = panel_for("Predict")
    type_name(drawn, 0, "In situ")
    chooser = panel.region.only
    QApplication.sendEvent(panel, QEnterEvent(QPointF(), QPointF(), QPointF()))
    assert chooser.values == ["", "In situ", "Stroma"]
    assert chooser.current_choice == "every class"


def test_removing_the_layers_leaves_an_empty_panel(viewer: Any, drawn: Any) -> None:
    viewer.layers.clear()
    assert drawn.statistics.frame is None
    drawn.save_regions(Path("never.geojson"))
    assert not Path("never.geojson").exists()


def test_the_list_renames_hides_locks_colours_and_deletes(drawn: Any, tmp_path: Path) -> None:
    layer, rows = drawn.drawn.value, drawn.list
    assert [rows.model.gene_at(row) for row in range(2)] == ["", ""]
    rows.view.setCurrentIndex(rows.model.index(1))
    assert set(layer.selected_data) == {1}
    rows.model.setData(rows.model.index(1, 0), "left one")
    drawn.buttons["hide"].click()
    drawn.colour_region(QColor(9, 8, 7))
    assert layer.edge_color[1][3] == 1  # a new colour is seen
    drawn.buttons["hide"].click()
    assert rows.model.index(1, 1).data() == "Stroma, hidden"
    drawn.buttons["lock"].click()
    assert rows.model.index(1, 1).data() == "Stroma, locked, hidden"
    drawn.classes.mark("Stroma")
    assert layer.feature_defaults["class"].item() == "Stroma"
    drawn.save_regions(tmp_path / "out.geojson")
    kept = read_regions(tmp_path / "out.geojson")[1]
    assert (kept.label, kept.colour, is_locked(kept.other)) == ("left one", (9, 8, 7), True)
    drawn.buttons["delete"].click()
    assert layer.nshapes == 2
    assert "Locked regions stay" in notification_manager.records[-1].message
    drawn.buttons["lock"].click()
    drawn.buttons["delete"].click()
    assert classes_in(layer) == ["Tumour"]
    assert rows.model.rowCount() == 1
    drawn.buttons["undo"].click()
    assert classes_in(layer) == ["Tumour", "Stroma"]
    assert rows.model.gene_at(1) == "left one"


def test_undo_goes_back_step_by_step(drawn: Any) -> None:
    layer = drawn.drawn.value
    type_name(drawn, 0, "In situ")
    drawn.classes.mark("In situ")
    drawn.choose_colour(QColor(10, 20, 30))
    layer.data = [UPPER, LOWER + 5]
    assert drawn.undoable
    drawn.buttons["undo"].click()
    np.testing.assert_allclose(layer.data[1], LOWER)
    drawn.undo()
    assert class_colours(layer)["In situ"] == PALETTE[0]
    drawn.undo()
    assert classes_in(layer) == ["Tumour", "Stroma"]
    for _ in range(3):
        drawn.undo()
    assert layer.nshapes == 0
    assert not drawn.undoable


def test_what_is_painted_becomes_a_region_of_the_marked_class(viewer: Any, drawn: Any) -> None:
    drawn.classes.mark("Stroma")
    drawn.buttons["brush"].click()
    layer = viewer.layers["brush"]
    assert layer.mode == "paint"
    low, high = (layer.world_to_data(end).round().astype(int) for end in ((40, 50), (90, 120)))
    layer.data[low[0] : high[0], low[1] : high[1]] = 1
    drawn.buttons["brush"].click()
    assert "brush" not in viewer.layers
    painted = drawn.drawn.value.data[-1]
    np.testing.assert_allclose(painted.min(axis=0), (40, 50), atol=0.5)
    np.testing.assert_allclose(painted.max(axis=0), (90, 120), atol=0.5)
    assert classes_in(drawn.drawn.value)[-1] == "Stroma"
    drawn.undo()
    assert drawn.drawn.value.nshapes == 2


def test_the_wand_takes_tissue_of_like_colour(
    viewer: Any, panel: Any, make_section: Callable[..., Section]
) -> None:
    from histoscribe.slide import Level, Slide

    viewer.layers.clear()
    pixels = np.full((400, 400, 3), 250, np.uint8)
    pixels[100:200, 120:300] = (180, 90, 160)
    pixels[140:160, 200:220] = 250  # a hole
    slide = Slide(Path("t.svs"), tuple(Level(Whole(pixels[::by, ::by]), by) for by in (1, 2)), mpp=0.5)
    show(viewer, [make_section(slide=slide)])
    viewer.fit_to_view()
    panel.pick(np.array([60.0, 80.0]))
    (region,) = panel._regions()
    assert len(region.holes) == 1
    assert region.area == pytest.approx(100 * 180 - 400, rel=0.08)
    panel.pick(np.array([-500.0, 0.0]))
    assert "click on the tissue" in notification_manager.records[-1].message
    before = len(viewer.mouse_drag_callbacks)
    panel.buttons["wand"].click()
    assert len(viewer.mouse_drag_callbacks) == before + 1
    panel.buttons["wand"].click()
    assert len(viewer.mouse_drag_callbacks) == before


def test_marked_spots_and_a_gene_make_regions(viewer: Any, drawn: Any) -> None:
    (layer,) = spot_layers(viewer)
    drawn.outline_spots(marked=True)
    assert "draw a lasso" in notification_manager.records[-1].message
    rim(layer, np.arange(5))
    drawn.buttons["marked"].click()
    assert drawn._regions()[-1].contains(drawn._section().centres).sum() == 5
    state_of(viewer).choose("EPCAM")
    values = log_gene(drawn._section(), "EPCAM")
    drawn.threshold.value = middle = round(float(np.median(values)), 2)
    drawn.buttons["above"].click()
    regions = [one for one in drawn._regions()[3:] if one.name]
    inside = np.any([one.contains(drawn._section().centres) for one in regions], axis=0)
    np.testing.assert_array_equal(inside, values >= middle)
    assert 0 < inside.sum() < len(inside)


def test_figures_of_the_compared_classes_are_drawn_and_saved(drawn: Any, qtbot: Any, tmp_path: Path) -> None:
    drawn.first.value, drawn.second.value = "Tumour", "Stroma"
    assert not drawn.save_figure_button.isEnabled()
    drawn.draw_button.click()
    qtbot.waitUntil(lambda: not drawn.tasks.running and bool(drawn._figures), timeout=60_000)
    for name in drawn.figure.choices:
        drawn.figure.value = name
        assert not drawn.picture.pixmap().isNull()
        drawn.save_figure(tmp_path / f"{name}.svg")
        assert (tmp_path / f"{name}.svg").stat().st_size > 1000


def test_a_bare_slide_exchanges_annotations_and_shows_mm2(
    window: Any, panel: Any, make_slide: Any, tmp_path: Path
) -> None:
    window.layers.clear()
    show(window, [make_slide()])
    regions = [
        Region("Tumour", (200, 0, 0), 2 * UPPER, label="no. 1", other='{"properties": {"isLocked": true}}')
    ]
    panel.open_regions(write_regions(regions, tmp_path / "in.geojson"))
    assert panel.classes.model.index(0, 3).data() == "0.01"
    assert panel.list.model.index(0, 2).data() == f"{0.16 * 0.075:.3f}"
    assert panel.list.model.index(0, 1).data() == "Tumour, locked"
    panel.save_regions(tmp_path / "out.geojson")
    assert read_regions(tmp_path / "out.geojson") == regions


def test_new_choices_are_kept_by_a_session(window: Any, panel: Any, qtbot: Any) -> None:
    panel.tolerance.value, panel.threshold.value, panel.figure.value = 31, 2.5, "heat map"
    panel.tabs.setCurrentIndex(4)
    again = type(panel)(window)
    qtbot.addWidget(again)
    again.restore(panel.values())
    again.take_back(panel.kept())
    assert (again.tolerance.value, again.threshold.value, again.figure.value) == (31, 2.5, "heat map")
    assert again.tabs.tabText(again.tabs.currentIndex()) == "List"
