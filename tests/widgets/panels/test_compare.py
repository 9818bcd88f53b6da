"""The Compare panel: panes, difference, table, and marks that go both ways between plot and tissue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from histoscribe.evaluation.measures import pearson_per_gene
from histoscribe.section import Section, log_gene
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers.colours import DIFFERENCE
from histoscribe.widgets.layers.painting import painted_layers, spot_layers
from histoscribe.widgets.panels.compare.comparing import COLUMNS
from histoscribe.widgets.parts.plots import Scatter
from histoscribe.widgets.state.state import state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]

MakeSection = Callable[..., Section]


@pytest.fixture
def panel(viewer: Any, panel_for: Callable[[str], Any], make_section: MakeSection, qtbot: Any) -> Any:
    """The panel, having compared two layers of one section."""
    measured = make_section()
    predicted = make_section(kind="predicted", slide=measured.slide)
    truth = np.column_stack([log_gene(measured, gene) for gene in measured.genes])
    predicted.table.X = (truth + predicted.table.X).astype(np.float32)
    predicted.table.var["held_out_r"] = np.linspace(0, 0.8, predicted.table.n_vars)
    show(viewer, [measured, predicted])
    panel = panel_for("Compare")
    qtbot.mouseClick(panel.run_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: panel.compared is not None and not panel.tasks.running, timeout=20_000)
    return panel


def test_every_gene_is_scored_with_an_interval(panel: Any) -> None:
    table = panel.table.frame
    assert list(table.columns) == list(COLUMNS)
    assert table["pearson"].is_monotonic_decreasing
    assert ((table["low"] <= table["pearson"]) & (table["pearson"] <= table["high"])).all()
    gene = str(table.index[0])
    a, b = panel.compared.values(gene)
    assert table.at[gene, "pearson"] == pytest.approx(pearson_per_gene(a[:, None], b[:, None])[0], abs=1e-5)


def test_measured_predicted_and_difference_have_a_pane_each(viewer: Any, panel: Any) -> None:
    measured, predicted, difference = painted_layers(viewer)
    assert viewer.canvas.grid.actual_shape(viewer.layers) == (1, 3)
    gene = state_of(viewer).gene
    expected = log_gene(predicted.metadata["section"], gene) - log_gene(measured.metadata["section"], gene)
    np.testing.assert_allclose(difference.features[gene], expected, rtol=1e-5)
    panel.panes_button.click()
    assert not viewer.canvas.grid.enabled
    assert not difference.visible
    assert DIFFERENCE in difference.metadata


def test_a_row_of_the_table_chooses_the_gene(viewer: Any, panel: Any) -> None:
    panel.view.setCurrentIndex(panel.table.index(3, 0))
    assert state_of(viewer).gene == panel.table.gene_at(3)
    assert panel.scatter.title.startswith(panel.table.gene_at(3))


def test_the_table_sorts_and_is_saved(panel: Any, tmp_path: Path) -> None:
    import pandas as pd

    panel.view.sortByColumn(4, Qt.SortOrder.DescendingOrder)
    assert panel.table.frame["held_out_r"].is_monotonic_decreasing
    panel.save_table(tmp_path / "genes.csv")
    saved = pd.read_csv(tmp_path / "genes.csv", index_col="gene")
    assert sorted(saved.index) == sorted(panel.table.frame.index)


def test_a_lasso_in_the_plot_marks_the_spots_of_both_layers(viewer: Any, panel: Any, qtbot: Any) -> None:
    panel.scatter.resize(300, 260)
    places = panel.scatter.places()
    target = places[7]
    lasso(qtbot, panel.scatter, target, 4)
    marked = set(panel.scatter.marked.tolist())
    assert 7 in marked
    assert all(set(layer.selected_data) == marked for layer in spot_layers(viewer))
    qtbot.mouseClick(panel.scatter, Qt.MouseButton.LeftButton, pos=QPoint(3, 3))
    assert all(not layer.selected_data for layer in spot_layers(viewer))


def test_spots_marked_on_a_layer_are_marked_in_the_plot_and_on_the_other(viewer: Any, panel: Any) -> None:
    measured, predicted = spot_layers(viewer)
    measured.selected_data = {1, 5, 9}
    assert panel.scatter.marked.tolist() == [1, 5, 9]
    assert set(predicted.selected_data) == {1, 5, 9}


def test_a_lasso_on_the_tissue_marks_spots_and_leaves_no_layer(viewer: Any, panel: Any, qtbot: Any) -> None:
    before = list(viewer.layers)
    panel.lasso_button.click()
    (layer,) = [one for one in viewer.layers if one not in before]
    measured = spot_layers(viewer)[0]
    low = measured.data.min(axis=0)
    box = low + np.array([[-1, -1], [-1, 45], [25, 45], [25, -1]])
    layer.add_polygons(box)
    qtbot.waitUntil(lambda: layer not in viewer.layers, timeout=5000)
    inside = ((measured.data >= box.min(axis=0)) & (measured.data <= box.max(axis=0))).all(axis=1)
    assert panel.scatter.marked.tolist() == np.flatnonzero(inside).tolist()


def test_blinking_shows_one_after_the_other(viewer: Any, panel: Any, qtbot: Any) -> None:
    measured, predicted = spot_layers(viewer)
    panel._timer.setInterval(20)
    panel.blink_button.click()
    assert (measured.visible, predicted.visible) == (True, False)
    qtbot.waitUntil(lambda: (measured.visible, predicted.visible) == (False, True), timeout=5000)
    panel.blink_button.click()
    assert measured.visible
    assert predicted.visible


def test_removing_a_layer_ends_the_comparison(viewer: Any, panel: Any) -> None:
    viewer.layers.remove(spot_layers(viewer)[1])
    assert panel.compared is None
    assert panel.table.rowCount() == 0
    assert not panel.export_button.isEnabled()


def test_all_sections_get_a_pane(viewer: Any, panel: Any, make_section: MakeSection) -> None:
    panel.panes_button.setChecked(False)
    show(viewer, [make_section("B1"), make_section("C1")])
    panel.all_button.click()
    rows, columns = viewer.canvas.grid.actual_shape(viewer.layers)
    assert rows * columns >= 4
    panel.all_button.click()
    assert not viewer.canvas.grid.enabled


def test_the_plot_copes_with_no_dots_and_with_equal_values(qtbot: Any) -> None:
    scatter = Scatter()
    qtbot.addWidget(scatter)
    for values in (np.zeros(0), np.zeros(5), np.array([np.nan, 1.0])):
        scatter.show_values(values, values, "nothing")
        assert not scatter.grab().isNull()


def test_a_layer_removed_while_its_comparison_is_shown_ends_it(viewer: Any, panel: Any, qtbot: Any) -> None:
    steps = panel._show(panel._pair, panel.request(), panel.compared)
    next(steps)
    viewer.layers.remove(spot_layers(viewer)[1])
    assert list(steps) == []
    assert panel.compared is None
    assert not panel.scatter.marked.size
    assert len(spot_layers(viewer)) == 1


def lasso(qtbot: Any, widget: Any, centre: np.ndarray, radius: float) -> None:
    """Drag around a place with the mouse."""
    turns = np.linspace(0, 2 * np.pi, 9)
    corners = [
        QPoint(int(centre[0] + radius * np.cos(t)), int(centre[1] + radius * np.sin(t))) for t in turns
    ]
    qtbot.mousePress(widget, Qt.MouseButton.LeftButton, pos=corners[0])
    for corner in corners[1:]:
        qtbot.mouseMove(widget, corner)
    qtbot.mouseRelease(widget, Qt.MouseButton.LeftButton, pos=corners[-1])
