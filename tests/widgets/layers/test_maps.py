"""Maps of a prediction: what they show, how they are painted, that each is one layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels, Points

from histoscribe.section import Section
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers.colours import DIFFERENCE
from histoscribe.widgets.layers.keeping import watch
from histoscribe.widgets.layers.layers import section_of
from histoscribe.widgets.layers.maps import (
    Map,
    class_palette,
    find_map,
    map_of,
    maps_on,
    show_map,
    spot_at,
    spots_of,
    strip_of,
)
from histoscribe.widgets.layers.opened import shown_spots
from histoscribe.widgets.layers.painting import paint, spot_layers
from histoscribe.widgets.layers.raster import raster_layer
from histoscribe.widgets.layers.strips import MAPS, _written
from histoscribe.widgets.napari_private.window import unwrapped
from histoscribe.widgets.panels.evidence.map_choices import (
    FUNCTIONAL,
    INTERVAL,
    KINDS,
    NOVELTY,
    SPATIAL,
    TYPES,
    lacking,
    spot_map,
)
from histoscribe.widgets.session.panels import open_panels
from histoscribe.widgets.session.session import capture
from histoscribe.widgets.state.state import state_of

pytestmark = pytest.mark.usefixtures("own_settings")

MakeSection = Callable[..., Section]


@pytest.fixture
def predicted(make_section: MakeSection) -> Section:
    """A prediction that says all but attention; its spots are named as those of a grid."""
    section = make_section("A1", kind="predicted")
    table = section.table
    side = round(table.n_obs**0.5)
    table.obs_names = [f"r{row}c{column}" for row in range(side) for column in range(side)]
    table.obs["novelty"] = np.linspace(1.4, 0.2, table.n_obs)
    table.obs["unlike_training"] = table.obs["novelty"] > 1
    table.obs["spot_type"] = np.arange(table.n_obs, dtype=np.int32) % 3
    table.layers["low"] = table.X - np.linspace(0.1, 1, table.n_obs)[:, None]
    table.layers["high"] = table.X + 0.5
    table.obsm["evidence"] = np.zeros((table.n_obs, 1), dtype=np.int32)
    table.obsm["evidence_weight"] = np.ones((table.n_obs, 1), dtype=np.float32)
    table.uns["histoscribe"] |= {
        "type_names": np.array(["tumour", "stroma <b>", "fat"], dtype=object),
        "evidence_section": np.array(["B1"], dtype=object),
        "evidence_spot": np.array(["s0"], dtype=object),
    }
    return section


def add(viewer: Any, section: Section) -> Any:
    data, described, kind = shown_spots(section)
    return getattr(viewer, f"add_{kind}")(data, **described)


def add_raster(viewer: Any, section: Section) -> Any:
    whole = replace(section, spot_um=20.0)
    data, described, _ = raster_layer(whole)
    return viewer.add_image(data, **described)


def test_a_map_is_a_layer_that_says_what_it_shows_and_in_which_unit(viewer: Any, predicted: Section) -> None:
    spots = add(viewer, predicted)
    layer = show_map(viewer, spots, spot_map(predicted, NOVELTY, ""))
    assert isinstance(layer, Points)
    assert layer.name == "A1: distance from the training tissue (above 1: further than 99 % of it)"
    np.testing.assert_allclose(
        layer.features["distance from the training tissue"], predicted.table.obs["novelty"]
    )
    colours = np.asarray(layer.face_color)
    far, near = colours[0], colours[-1]
    assert far[0] > far[2]  # red beyond the limit
    assert near[2] > near[0]  # blue within


def test_the_same_map_again_changes_its_layer_and_another_hides_it(viewer: Any, predicted: Section) -> None:
    spots = add(viewer, predicted)
    first = show_map(viewer, spots, spot_map(predicted, INTERVAL, "EPCAM"))
    second = show_map(viewer, spots, spot_map(predicted, INTERVAL, "ERBB2"))
    assert second is first
    assert first.name.startswith("A1: ERBB2, width of the 90 % interval")
    assert len(viewer.layers) == 2
    other = show_map(viewer, spots, spot_map(predicted, TYPES, ""))
    assert other.visible
    assert not first.visible
    viewer.layers.remove(first)
    assert maps_on(viewer, predicted) == [other]


def test_a_map_hides_what_else_is_shown_of_its_tissue(
    viewer: Any, predicted: Section, make_section: Callable[..., Section]
) -> None:
    measured, spots = add(viewer, make_section()), add(viewer, predicted)
    show_map(viewer, spots, spot_map(predicted, TYPES, ""))
    assert (measured.visible, spots.visible) == (False, True)


def test_painting_genes_leaves_maps_alone(viewer: Any, predicted: Section) -> None:
    spots = add(viewer, predicted)
    layer = show_map(viewer, spots, spot_map(predicted, NOVELTY, ""))
    before = np.array(layer.face_color)
    state_of(viewer).choose("EPCAM")
    paint(viewer, state_of(viewer))
    np.testing.assert_array_equal(layer.face_color, before)
    assert spot_layers(viewer) == [spots]


def test_intervals_are_as_wide_as_the_table_says(predicted: Section) -> None:
    width = spot_map(predicted, INTERVAL, "ERBB2").values
    np.testing.assert_allclose(width, np.linspace(0.1, 1, len(width)) + 0.5, atol=1e-5)


def test_classes_have_colours_of_their_own_and_their_names_on_the_spots(
    viewer: Any, predicted: Section
) -> None:
    layer = show_map(viewer, add(viewer, predicted), spot_map(predicted, TYPES, ""))
    assert list(layer.features["spot type"][:3]) == ["tumour", "stroma <b>", "fat"]
    np.testing.assert_allclose(layer.face_color[:3], class_palette(3))
    assert len(np.unique(class_palette(12), axis=0)) == 12


def test_types_without_names_are_numbered(predicted: Section) -> None:
    del predicted.table.uns["histoscribe"]["type_names"]
    assert spot_map(predicted, TYPES, "").classes == ("type 1", "type 2", "type 3")


def test_what_is_lacking_is_said_with_what_would_help(predicted: Section) -> None:
    assert "--graphs" in lacking(predicted, SPATIAL, "EPCAM")
    assert "choose another" in lacking(predicted, INTERVAL, "CD19")
    assert "hold out" in lacking(bare(predicted), INTERVAL, "EPCAM")
    predicted.table.obs["attention_spatial"] = 1.0
    assert {kind for kind in KINDS if lacking(predicted, kind, "EPCAM")} == {FUNCTIONAL}


@pytest.mark.parametrize("column", ["tumour", -1, 0.5, 10**6])
def test_columns_that_hold_something_else_are_not_offered(predicted: Section, column: object) -> None:
    predicted.table.obs["spot_type"] = column
    assert "predict again" in lacking(predicted, TYPES, "EPCAM")
    predicted.table.obs["novelty"] = "far"
    assert lacking(predicted, NOVELTY, "EPCAM")


def bare(section: Section) -> Section:
    table = section.table.copy()
    del table.layers["low"]
    return section.with_table(table)


def test_maps_of_rasters_are_rasters(viewer: Any, predicted: Section) -> None:
    raster = add_raster(viewer, predicted)
    section = section_of(raster)
    novelty = show_map(viewer, raster, spot_map(section, NOVELTY, ""))
    assert isinstance(novelty, Image)
    np.testing.assert_allclose(novelty.data.ravel(), section.table.obs["novelty"], rtol=1e-6)
    assert novelty.contrast_limits == [0, 2]
    types = show_map(viewer, raster, spot_map(section, TYPES, ""))
    assert isinstance(types, Labels)
    np.testing.assert_array_equal(types.data.ravel(), section.table.obs["spot_type"] + 1)
    np.testing.assert_allclose([types.get_color(number) for number in (1, 2, 3)], class_palette(3), atol=1e-6)
    for layer in (novelty, types):
        np.testing.assert_allclose(layer.data_to_world((2, 3)), raster.data_to_world((2, 3)))
    assert show_map(viewer, raster, spot_map(section, TYPES, "")) is types


def test_the_spot_at_a_place_is_found_on_points_and_rasters(viewer: Any, predicted: Section) -> None:
    for layer in (add(viewer, predicted), add_raster(viewer, predicted)):
        for kind in (NOVELTY, TYPES):
            shown = show_map(viewer, layer, spot_map(section_of(layer), kind, ""))
            assert spots_of(viewer, shown) is spots_of(viewer, layer) is layer
            for one in (layer, shown):
                assert spot_at(one, predicted.centres_um[17]) == 17
                assert spot_at(one, (-500.0, 10.0)) is None
    assert spots_of(viewer, Points(np.zeros((1, 2)))) is None


def test_the_canvas_shows_the_scale_of_the_uppermost_visible_map(viewer: Any, predicted: Section) -> None:
    watch(viewer)
    spots = add(viewer, predicted)
    lower = show_map(viewer, spots, spot_map(predicted, NOVELTY, ""))
    upper = show_map(viewer, spots, spot_map(predicted, INTERVAL, "ERBB2"))
    scale = viewer.canvas.overlays[MAPS]
    assert [strip[0] for strip in scale.draw.strips] == ["ERBB2, width of the 90 % interval"]
    upper.visible, lower.visible = False, True
    assert scale.draw.strips == (strip_of(map_of(lower)),)
    viewer.layers.remove(lower)
    assert not scale.visible


def test_where_a_map_says_nothing_no_other_colour_shines_through(viewer: Any, predicted: Section) -> None:
    values = np.where(np.arange(predicted.table.n_obs) < 3, 1.0, np.nan)
    one = Map("some", "some", "of a unit", values, (-1.0, 1.0), DIFFERENCE)
    points = show_map(viewer, add(viewer, predicted), one)
    assert (points.face_color[:, 3] == 1).all()
    assert points.opacity == 1
    np.testing.assert_allclose(points.face_color[3:, :3], 0.55, atol=1e-6)
    raster = show_map(viewer, add_raster(viewer, predicted), one)
    assert (raster.data.ravel()[3:] == 0).all()
    assert raster.colormap.name == "blue to red"


def test_small_limits_are_written_with_the_digits_that_they_need() -> None:
    assert _written((-0.6123, 0.6123)) == ["-0.61", "0.61"]
    assert _written((-0.0041, 0.0041)) == ["-0.004", "0.004"]


def tick(maps: Any, kind: str) -> None:
    """Press the tick of a map."""
    maps.boxes[kind].native.click()


@pytest.mark.viewer
class TestChoices:
    """In the Evidence panel."""

    @pytest.fixture
    def panel(self, viewer: Any, panel_for: Callable[[str], Any], predicted: Section) -> Any:
        show(viewer, [predicted])
        return panel_for("Evidence")

    @pytest.fixture
    def maps(self, panel: Any) -> Any:
        return panel.maps

    def test_a_tick_adds_a_map_and_its_legend(self, viewer: Any, maps: Any, predicted: Section) -> None:
        for kind in (NOVELTY, INTERVAL, TYPES):
            tick(maps, kind)
        assert len(maps_on(viewer, predicted)) == 3
        assert not maps.bar.isHidden()
        assert "tumour" in maps.classes.text()
        assert "<b>" not in maps.classes.text()
        tick(maps, TYPES)
        assert find_map(viewer, predicted, TYPES) is None
        assert maps.classes.isHidden()

    def test_deleting_the_layer_takes_the_tick_away(self, viewer: Any, maps: Any, predicted: Section) -> None:
        tick(maps, NOVELTY)
        viewer.layers.remove(find_map(viewer, predicted, NOVELTY).name)
        assert not maps.boxes[NOVELTY].value
        tick(maps, NOVELTY)
        assert len(maps_on(viewer, predicted)) == 1

    def test_a_click_on_a_map_explains_its_spot(self, viewer: Any, panel: Any, maps: Any, qtbot: Any) -> None:
        tick(maps, NOVELTY)
        spots = spot_layers(viewer)[-1]
        spots.visible = False
        event = SimpleNamespace(position=tuple(spots.data[7]), type="mouse_press", modifiers=())
        click = viewer.mouse_drag_callbacks[-1](viewer, event)
        next(click)
        event.type = "mouse_release"
        next(click, None)
        qtbot.waitUntil(lambda: panel.shown is not None and panel.shown.name == "r0c7", timeout=10_000)

    def test_attention_is_greyed_where_the_model_has_no_graphs(self, maps: Any) -> None:
        assert not maps.boxes[SPATIAL].enabled
        assert not maps.boxes[FUNCTIONAL].enabled
        assert "--graphs" in maps.why.text()
        assert not maps.why.isHidden()

    def test_the_map_of_the_interval_follows_the_gene(
        self, viewer: Any, maps: Any, predicted: Section
    ) -> None:
        tick(maps, INTERVAL)
        tick(maps, NOVELTY)
        state_of(viewer).choose("COL1A1")
        layer = find_map(viewer, predicted, INTERVAL)
        assert map_of(layer).title.startswith("COL1A1")
        assert not layer.visible
        state_of(viewer).choose("CD19")
        assert map_of(layer).title.startswith("COL1A1")
        assert maps.boxes[INTERVAL].value

    def test_a_session_brings_the_ticks_and_with_them_the_maps_back(
        self, window: Any, dock: Callable[[str], Any], predicted: Section
    ) -> None:
        show(window, [predicted])
        panel = dock("Evidence")
        maps = panel.maps
        tick(maps, NOVELTY)
        panel.tabs.setCurrentIndex(1)
        captured = capture(unwrapped(window), state_of(window))
        assert [layer.show for layer in captured.content.layers] == ["slide", "spots", "map"]
        tick(maps, NOVELTY)
        panel.tabs.setCurrentIndex(0)
        layers = [window.layers[0], spot_layers(window)[-1]]
        assert open_panels(unwrapped(window), captured.content.panels, layers) == []
        assert find_map(window, predicted, NOVELTY) is not None
