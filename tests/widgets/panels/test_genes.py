"""The Genes panel: searching, choosing and painting."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from histoscribe.section import Section
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers.maps import Map, show_map
from histoscribe.widgets.layers.painting import paint, painted_layers, spot_layers
from histoscribe.widgets.state.state import state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]

FRAME = 0.016


@pytest.fixture
def genes(panel_for: Callable[[str], Any]) -> Any:
    return panel_for("Genes")


def press(qtbot: Any, widget: Any, key: str, modifier: str = "") -> None:
    """Press a key in a widget of a shown panel."""
    from qtpy.QtCore import Qt

    held = getattr(Qt.KeyboardModifier, f"{modifier or 'No'}Modifier")
    qtbot.keyClick(widget, getattr(Qt.Key, f"Key_{key}"), held)


def test_choosing_a_gene_paints_every_layer_that_has_it(
    viewer: Any, genes: Any, make_section: Callable[..., Section], qtbot: Any
) -> None:
    show(viewer, [make_section("A1"), make_section("B1"), make_section("C1", genes=("CD19", "CD3E"))])
    genes.search.setText("epc")
    assert genes.genes.shown == ["EPCAM"]
    press(qtbot, genes.search, "Return")
    assert state_of(viewer).gene == "EPCAM"
    painted = ["EPCAM" in layer.features for layer in spot_layers(viewer)]
    assert painted == [True, True, False]
    assert genes.scale.isVisibleTo(genes)


def test_clicking_a_row_chooses_it_and_searching_does_not(viewer: Any, genes: Any, section: Section) -> None:
    show(viewer, [section])
    genes.list.setCurrentIndex(genes.genes.index(genes.genes.shown.index("CD3E")))
    assert state_of(viewer).gene == "CD3E"
    genes.search.setText("mki")
    assert state_of(viewer).gene == "CD3E"


def test_colours_and_limits_repaint(viewer: Any, genes: Any, section: Section) -> None:
    show(viewer, [section])
    (layer,) = spot_layers(viewer)
    before = layer.face_color.copy()
    genes.colour_map.value = "magma"
    assert not np.allclose(before, layer.face_color)
    distinct = len(np.unique(layer.face_color, axis=0))
    genes.percentiles.value = (1, 60)
    assert state_of(viewer).high == 60
    assert len(np.unique(layer.face_color, axis=0)) < distinct


def test_up_to_three_genes_are_blended_or_get_a_pane_each(
    viewer: Any, genes: Any, make_section: Callable[..., Section], qtbot: Any
) -> None:
    show(viewer, [make_section("A1"), make_section("B1", genes=("EPCAM", "CD19"))])
    first, second = spot_layers(viewer)
    for text, key in (("epcam", ""), ("erbb2", "Shift"), ("mki67", "Shift")):
        genes.search.setText(text)
        press(qtbot, genes.search, "Return", key)
    assert state_of(viewer).genes == ("EPCAM", "ERBB2", "MKI67")
    assert not genes.colour_map.native.isVisibleTo(genes)
    assert set(first.features) == {"EPCAM", "ERBB2", "MKI67"}
    assert set(second.features) == {"EPCAM"}
    genes.layout_choice.value = "multiples"
    assert viewer.canvas.grid.enabled
    assert genes.colour_map.native.isVisibleTo(genes)
    panes = painted_layers(viewer)
    assert sorted(next(iter(pane.features), "") for pane in panes) == [
        "",
        "",
        "EPCAM",
        "EPCAM",
        "ERBB2",
        "MKI67",
    ]
    genes.chips.chips[1].click()
    assert state_of(viewer).genes == ("EPCAM", "MKI67")
    assert len(painted_layers(viewer)) == 4
    genes.layout_choice.value = "blend"
    assert painted_layers(viewer) == spot_layers(viewer)


def test_the_scale_goes_with_the_gene_beneath_a_map(viewer: Any, genes: Any, section: Section) -> None:
    show(viewer, [section])
    (spots,) = spot_layers(viewer)
    assert genes.scale.isVisibleTo(genes)
    classes = np.arange(section.table.n_obs) % 2
    shown = show_map(viewer, spots, Map("category", "c", "category", classes, classes=("a", "b")))
    assert not genes.scale.isVisibleTo(genes)
    shown.visible = False
    assert genes.scale.isVisibleTo(genes)


def test_a_gene_is_pinned_by_a_key_and_let_go_again(
    viewer: Any, genes: Any, section: Section, qtbot: Any
) -> None:
    show(viewer, [section])
    genes.search.setText("mki")
    genes.list.setCurrentIndex(genes.genes.index(0))
    press(qtbot, genes.list, "P")
    genes.search.clear()
    assert genes.genes.shown[0] == "MKI67"
    genes.pin_button.click()
    assert state_of(viewer).pinned == ()


def test_the_list_is_sorted_by_what_is_chosen(viewer: Any, genes: Any, section: Section, qtbot: Any) -> None:
    from histoscribe.evaluation.regions import gene_moments, morans_i

    show(viewer, [section])
    assert genes.genes.shown == sorted(section.genes)
    moments = gene_moments(section)
    moran = morans_i(section, section.genes)["I"]
    for order, values in (("mean", moments["mean"]), ("variance", moments["variance"]), ("moran", moran)):
        genes.order.value = order
        qtbot.waitUntil(lambda: not genes.tasks.running, timeout=60_000)
        assert genes.genes.shown == list(values.sort_values(ascending=False).index), order
    genes.order.value = "name"
    assert genes.genes.shown == sorted(section.genes)


def test_typed_limits_are_kept_for_their_gene(viewer: Any, genes: Any, section: Section) -> None:
    show(viewer, [section])
    state = state_of(viewer)
    state.choose("EPCAM")
    genes.low.value, genes.high.value = -1, 9.5
    assert state.fixed == {"EPCAM": (-1, 9.5)}
    assert paint(viewer, state)[spot_layers(viewer)[0].name]["EPCAM"] == (-1, 9.5)
    state.choose("CD3E")
    assert genes.high.value != 9.5
    assert not genes.auto.enabled
    state.choose("EPCAM")
    assert (genes.low.value, genes.high.value) == (-1, 9.5)
    genes.auto.native.click()
    assert state.fixed == {}


def test_no_match_is_said(viewer: Any, genes: Any, section: Section) -> None:
    show(viewer, [section])
    genes.search.setText("qqq")
    assert "No match: none of the 5 genes" in genes.legend.text()
    genes.search.setText("epc")
    assert genes.legend.text() == ""


def test_genes_that_most_layers_have_come_first(
    viewer: Any, genes: Any, make_section: Callable[..., Section]
) -> None:
    show(viewer, [make_section("A1"), make_section("A2", kind="predicted", genes=("MKI67", "CD3E"))])
    assert genes.genes.shown[:2] == ["CD3E", "MKI67"]


def test_a_keystroke_in_the_panel_takes_less_than_a_frame(
    viewer: Any, genes: Any, make_section: Callable[..., Section], qtbot: Any
) -> None:
    from qtpy.QtWidgets import QApplication

    show(viewer, [make_section(genes=tuple(f"GENE{i}X{i * 7919 % 10007}" for i in range(20_000)))])
    seconds = []
    for text in ("7", "79", "791", "79", "7"):
        start = time.thread_time()
        genes.search.setText(text)
        seconds.append(time.thread_time() - start)
        QApplication.processEvents()
    assert float(np.median(seconds)) < FRAME, seconds


def test_removing_all_layers_empties_the_list(viewer: Any, genes: Any, section: Section) -> None:
    show(viewer, [section])
    viewer.layers.clear()
    assert genes.genes.shown == []
