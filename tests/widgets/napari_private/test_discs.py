"""Spots as plain discs: the same picture as napari's own at every size, and napari's own for all others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from histoscribe.section import Section
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers.painting import paint, rim, spot_layers
from histoscribe.widgets.layers.view_state import ViewState
from histoscribe.widgets.napari_private.discs import draw_as_discs
from histoscribe.widgets.state.state import state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]


@pytest.fixture
def window(make_napari_viewer: Any) -> Any:
    return make_napari_viewer(show=True)


@pytest.fixture
def spots(window: Any, section: Section) -> Any:
    """The layer of a section's spots in a real window, nothing behind them."""
    show(window, [section])
    (layer,) = spot_layers(window)
    window.layers[0].visible = False
    paint(window, ViewState(gene="EPCAM"))
    return layer


def drawing(window: Any, layer: Any) -> Any:
    return window.window._qt_viewer.canvas.layer_to_visual[layer]


def picture(window: Any) -> np.ndarray:
    """The canvas as it stands above the scales, as numbers that can be subtracted."""
    return window.screenshot(flash=False)[:-160, :, :3].astype(int)


def by_napari(window: Any, layer: Any) -> np.ndarray:
    """What napari's own markers draw of the same."""
    ours = drawing(window, layer)._on_data_change.__self__
    ours._plain = False
    own = picture(window)
    ours._plain, ours._behind = True, True
    return own


def test_the_picture_is_napari_s_own_at_every_zoom(window: Any, spots: Any) -> None:
    for wider in (1, 3, 4):
        window.scene.camera.zoom *= wider
        ours, own = picture(window), by_napari(window, spots)
        assert len(np.unique(own.reshape(-1, 3), axis=0)) > 10
        assert np.abs(ours - own).max() <= 12
        assert np.abs(ours - own).mean() < 0.1


def test_a_spot_whose_middle_is_off_the_canvas_is_still_drawn(window: Any, spots: Any) -> None:
    window.scene.camera.zoom *= 6
    height = window.screenshot(flash=False).shape[0]
    row, column = spots.data[24]
    window.scene.camera.center = (row + 0.5 * height / window.scene.camera.zoom + 2, column)
    ours, own = picture(window), by_napari(window, spots)
    assert own[:2].sum() > 0
    assert np.abs(ours - own).max() <= 12


def test_colours_follow_the_gene_and_are_uploaded_alone(window: Any, spots: Any) -> None:
    ours = drawing(window, spots)._on_data_change.__self__
    placed = ours._placed
    before = picture(window)
    paint(window, ViewState(gene="CD3E", colour_map="magma"))
    assert ours._placed is placed
    assert np.abs(picture(window) - before).max() > 50


def test_spots_smaller_than_a_pixel_keep_their_colours(window: Any, spots: Any) -> None:
    spots.face_color = "yellow"
    window.scene.camera.zoom = 0.4 / spots.size[0]
    for drawn in (picture(window), by_napari(window, spots)):
        red, green, blue = drawn.reshape(-1, 3).max(axis=0)
        assert red > 40
        assert green > 40
        assert blue < 0.2 * red


def test_marked_spots_have_napari_s_rim_and_lose_it_again(window: Any, spots: Any) -> None:
    plain = picture(window)
    rim(spots, np.array([3, 10]))
    for wider in (1, 4):
        window.scene.camera.zoom *= wider
        marked, own = picture(window), by_napari(window, spots)
        assert np.abs(marked - own).max() <= 12
        assert np.abs(marked - own).mean() < 0.1
    window.scene.camera.zoom /= 4
    assert np.abs(picture(window) - plain).max() > 50
    rim(spots, np.array([], dtype=np.intp))
    np.testing.assert_array_equal(picture(window), plain)


def test_what_the_user_changes_is_seen(window: Any, spots: Any) -> None:
    changes = {"size": 30.0, "symbol": "square", "opacity": 0.3, "visible": False, "translate": (40, 40)}
    ours = drawing(window, spots)._on_data_change.__self__
    before = picture(window)
    for name, value in changes.items():
        old = getattr(spots, name)
        setattr(spots, name, value)
        assert np.abs(picture(window) - before).max() > 30, name
        if ours._plain:
            assert np.abs(picture(window) - by_napari(window, spots)).max() <= 12, name
        setattr(spots, name, old)
        np.testing.assert_array_equal(picture(window), before)
    spots.data = spots.data[3:]  # put back, as spots are where they were measured
    np.testing.assert_array_equal(picture(window), before)


def test_selected_spots_are_seen_above_the_discs(window: Any, spots: Any) -> None:
    window.layers.selection.active = spots
    spots.mode = "select"
    before = picture(window)
    spots.selected_data = {0, 5}
    assert np.abs(picture(window) - before).max() > 50
    assert spots.get_value(spots.data[5], world=True) == 5


def test_side_by_side_each_pane_has_its_spots(window: Any, make_section: Callable[..., Section]) -> None:
    show(window, [make_section(), make_section(kind="predicted")])
    for layer in window.layers:
        layer.visible = layer in spot_layers(window)
    assert window.canvas.grid.enabled
    state_of(window).gene = "EPCAM"
    paint(window, state_of(window))
    drawn = picture(window)
    middle = drawn.shape[1] // 2
    assert drawn[:, :middle].max() > 100
    assert drawn[:, middle:].max() > 100


def test_a_hundred_thousand_spots_take_another_gene_within_150_ms(window: Any) -> None:
    """Drawing included; the GUI thread's processor time, which other programs hardly lengthen."""
    import anndata
    from qtpy.QtWidgets import QApplication

    rng = np.random.default_rng(0)
    table = anndata.AnnData(
        rng.random((100_000, 3), np.float32), obsm={"spatial": rng.random((100_000, 2)) * 20_000}
    )
    table.var_names, table.uns["histoscribe"] = ["A", "B", "C"], {"kind": "predicted"}
    show(window, [Section("many", table, None, 0.5, 20.0, 40.0, "P")])
    QApplication.processEvents()
    taken = []
    for gene in "ABCABC":
        start = time.thread_time()
        paint(window, ViewState(gene=gene))
        QApplication.processEvents()
        taken.append(time.thread_time() - start)
    assert np.median(taken) < 0.15


def test_without_a_window_or_with_another_napari_nothing_is_taken_over(
    viewer: Any, window: Any, section: Section
) -> None:
    show(viewer, [section])
    layer = window.add_points(section.centres_um, border_width=0)
    drawn = drawing(window, layer)
    follow = drawn._on_data_change
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("histoscribe.widgets.napari_private.discs._OF_DRAWING", ("a_name_of_later",))
        draw_as_discs(window, layer)
    assert drawn._on_data_change == follow
    draw_as_discs(window, layer)
    assert drawn._on_data_change != follow
    taken = drawn._on_data_change
    draw_as_discs(window, layer)
    assert drawn._on_data_change == taken
