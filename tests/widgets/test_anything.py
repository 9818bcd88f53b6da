"""Whatever people do to layers in any order, with all panels open: no traceback, true counts and pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from histoscribe.section import Section, log_gene
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers.arrangement import is_side_by_side, side_by_side
from histoscribe.widgets.layers.layers import (
    OF,
    add_layer,
    affine_of,
    kind_of,
    known_section,
    section_of,
    spot_layer,
)
from histoscribe.widgets.layers.maps import Map, show_map
from histoscribe.widgets.layers.painting import paint, painted_layers, spot_layers
from histoscribe.widgets.layers.regions import classes_in, is_region_layer
from histoscribe.widgets.layers.strips import GENES
from histoscribe.widgets.napari_private.window import unwrapped
from histoscribe.widgets.state.state import open_panel, state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]

PANELS = ("Predict", "Genes", "Compare", "Evidence", "Regions", "Impute", "Generate", "Slide", "Export")
WHICH = st.integers(0, 30)
CORNERS = np.array([[20, 20], [20, 180], [95, 180], [95, 20]], float)


class Anything(RuleBasedStateMachine):
    """Somebody at one window."""

    window: Any
    panels: dict[str, Any]
    qtbot: Any
    make_section: Callable[..., Section]

    def __init__(self) -> None:
        super().__init__()
        self.window.layers.clear()
        measured = self.make_section()
        self.slide = measured.slide
        show(self.window, [measured])
        add_layer(self.window, spot_layer(self.make_section(kind="predicted", slide=measured.slide)))
        self.regions.draw("add_polygon")
        self.regions.drawn.value.mode = "pan_zoom"
        self.regions.drawn.value.add_polygons(CORNERS)

    @property
    def regions(self) -> Any:
        return self.panels["Regions"]

    def layer(self, which: int) -> Any:
        return self.window.layers[which % len(self.window.layers)]

    def some(self) -> bool:
        return len(self.window.layers) > 0

    @precondition(some)
    @rule(which=WHICH)
    def delete(self, which: int) -> None:
        self.window.layers.remove(self.layer(which))

    @precondition(some)
    @rule(which=WHICH, by=st.tuples(st.integers(-300, 300), st.integers(-300, 300)))
    def move(self, which: int, by: tuple[int, int]) -> None:
        self.layer(which).translate = np.add(self.layer(which).translate, by)

    @precondition(some)
    @rule(which=WHICH, angle=st.integers(-180, 180), scale=st.sampled_from((0.5, 1, 3, -1)))
    def turn_and_scale(self, which: int, angle: int, scale: float) -> None:
        self.layer(which).rotate = angle
        self.layer(which).scale = self.layer(which).scale * (scale, 1)

    @precondition(some)
    @rule(which=WHICH, by=st.sampled_from((-0.5, 0.3)))
    def shear(self, which: int, by: float) -> None:
        self.layer(which).shear = [by] * len(np.atleast_1d(self.layer(which).shear))

    @precondition(some)
    @rule(which=WHICH, unit=st.sampled_from(("mm", "pixel", "um")))
    def change_units(self, which: int, unit: str) -> None:
        self.layer(which).units = (unit,) * self.layer(which).ndim

    @rule()
    def look_in_depth(self) -> None:
        self.window.dims.ndisplay = 5 - self.window.dims.ndisplay

    @rule()
    def tile_the_canvas(self) -> None:
        self.window.grid.enabled = not self.window.grid.enabled

    @precondition(lambda self: len(self.window.layers) < 8)
    @rule(flat=st.booleans())
    def draw_in_a_stack(self, flat: bool) -> None:
        depth = np.full((4, 1), 0.0 if flat else 7.0)
        self.window.add_shapes([np.hstack([depth, CORNERS])], shape_type="polygon", name="of a stack")

    @precondition(some)
    @rule(which=WHICH, name=st.sampled_from(("", "A1 measured", "other", "ö&<b>")))
    def rename(self, which: int, name: str) -> None:
        self.layer(which).name = name

    @precondition(lambda self: 0 < len(self.window.layers) < 8)
    @rule(which=WHICH)
    def duplicate(self, which: int) -> None:
        from napari.layers._layer_actions import _duplicate_layer

        self.window.layers.selection = {self.layer(which)}
        _duplicate_layer(self.window.layers)

    @precondition(some)
    @rule(which=WHICH, to=WHICH)
    def reorder(self, which: int, to: int) -> None:
        self.window.layers.move(which % len(self.window.layers), to % len(self.window.layers))

    @precondition(some)
    @rule(which=WHICH)
    def hide_or_show(self, which: int) -> None:
        self.layer(which).visible = not self.layer(which).visible

    @precondition(lambda self: bool(spot_layers(self.window)))
    @rule(which=WHICH, rows=st.sets(st.integers(0, 63), min_size=1, max_size=5))
    def edit_spots(self, which: int, rows: set[int]) -> None:
        spots = spot_layers(self.window)[which % len(spot_layers(self.window))]
        spots.selected_data = rows
        spots.remove_selected()
        spots.add((5, 5))

    @rule(slip=st.booleans())
    def draw(self, slip: bool) -> None:
        self.regions.draw("add_polygon")
        layer = self.regions.drawn.value
        layer.add_polygons(CORNERS[[0, 0, 0]] if slip else CORNERS + 40)
        layer.mode = "pan_zoom"

    @precondition(lambda self: self.regions.drawn.value is not None and self.regions.drawn.value.nshapes)
    @rule(which=WHICH)
    def delete_a_shape(self, which: int) -> None:
        self.regions.drawn.value.remove([which % self.regions.drawn.value.nshapes])

    @precondition(lambda self: self.regions.drawn.value is not None and self.regions.drawn.value.nshapes)
    @rule(which=WHICH, by=st.integers(-60, 60))
    def drag_a_shape(self, which: int, by: int) -> None:
        layer = self.regions.drawn.value
        corners = layer.data
        corners[which % layer.nshapes] = corners[which % layer.nshapes] + by
        layer.data = corners

    @precondition(lambda self: self.regions.drawn.value is not None and self.regions.drawn.value.nshapes)
    @rule(which=WHICH)
    def copy_a_shape(self, which: int) -> None:
        layer = self.regions.drawn.value
        layer.selected_data = {which % layer.nshapes}
        layer._copy_data()
        layer._paste_data()

    @rule(gene=st.sampled_from(("EPCAM", "ERBB2", "none such")))
    def choose_gene(self, gene: str) -> None:
        state_of(self.window).choose(gene)

    @rule()
    def panes(self) -> None:
        side_by_side(self.window, not is_side_by_side(self.window))
        paint(self.window, state_of(self.window))

    @precondition(lambda self: bool(spot_layers(self.window)))
    @rule(which=WHICH)
    def map(self, which: int) -> None:
        spots = spot_layers(self.window)[which % len(spot_layers(self.window))]
        show_map(self.window, spots, Map("some", "some", "unit", np.arange(64.0), (0, 63)))

    @rule()
    def undo(self) -> None:
        for panel in self.panels.values():
            if hasattr(panel, "undo_button"):
                panel.undo()

    @invariant()
    def all_is_true(self) -> None:
        from napari.utils.notifications import notification_manager

        self.qtbot.wait(130)
        told = [one for one in notification_manager.records if str(one.severity) not in ("info", "none")]
        told = [one for one in told if "Inconsistent units" not in one.message]  # napari's, of foreign layers
        assert [(one.severity, one.message) for one in told] == []
        state, shown = state_of(self.window), []
        for layer in painted_layers(self.window):
            section = known_section(layer)
            np.testing.assert_array_equal(layer.data, section.centres_um)
            if state.gene in section.genes:
                np.testing.assert_allclose(layer.features[state.gene], log_gene(section, state.gene))
                mapped = [
                    one for one in self.window.layers if one.visible and one.metadata.get(OF) is section
                ]
                shown += [layer] * (layer.visible and not mapped)
        scale = self.window.canvas.overlays.get(GENES)
        assert (scale is not None and scale.visible) == bool(shown)
        self.counts_are_true()

    def counts_are_true(self) -> None:
        drawn, spots = self.regions.drawn.value, self.regions.spots.value
        assert drawn is None or is_region_layer(drawn)
        if drawn is None or section_of(spots) is None or not any(classes_in(drawn)):
            return
        places = np.array([spots.data_to_world(place) for place in spots.data])
        labels = np.full(len(places), "", dtype=object)
        for corners, name in zip(drawn.data, classes_in(drawn), strict=True):
            outline = shapely.Polygon([drawn.data_to_world(corner) for corner in corners])
            if name:
                labels[shapely.contains_xy(outline, *places.T)] = name
        table = self.regions.classes.model
        for row in range(table.rowCount()):
            words = [table.index(row, column).data() for column in range(3)]
            assert words[1] == str(classes_in(drawn).count(words[0]))
            assert words[2] == str((labels == words[0]).sum()), (words, kind_of(section_of(spots)))

    def teardown(self) -> None:
        from napari.components import ViewerModel

        from histoscribe.widgets.panels.export.picture import picture_of
        from histoscribe.widgets.session.session import capture, restore
        from histoscribe.widgets.session.sources import Reopened

        self.window.dims.ndisplay = 2
        stacks = {layer.name for layer in self.window.layers if layer.ndim > 2}
        if any(layer.visible and layer.ndim == 2 for layer in self.window.layers):
            assert {*picture_of(self.window, state_of(self.window), dpi=72).left_out} <= stacks
        captured, back = capture(self.window, state_of(self.window)), ViewerModel()
        assert {*captured.left_out} <= stacks
        slides = {one.id: self.slide for one in captured.content.sources}
        restore(back, Reopened(captured.content, captured.tables, slides, dict.fromkeys(slides, Path())))
        before = {layer.name: layer for layer in self.window.layers}
        for layer in back.layers:
            np.testing.assert_allclose(affine_of(layer), affine_of(before[layer.name]), atol=1e-6)
        if is_side_by_side(self.window):
            side_by_side(self.window, False)


def test_whatever_is_done_in_any_order_counts_and_pictures_stay_true(
    make_napari_viewer_proxy: Any, registered: None, make_section: Callable[..., Section], qtbot: Any
) -> None:
    window = unwrapped(make_napari_viewer_proxy(show=True))
    panels = {name: open_panel(window, name)[1] for name in PANELS}
    made = {
        "window": window,
        "panels": panels,
        "qtbot": qtbot,
        "make_section": staticmethod(make_section),
    }
    run_state_machine_as_test(
        type("AnythingHere", (Anything,), made),
        settings=settings(
            max_examples=3,
            stateful_step_count=12,
            phases=(Phase.generate,),
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
