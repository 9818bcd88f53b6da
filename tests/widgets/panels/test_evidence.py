"""The Evidence panel: what a click tells of a spot, and what it says where something is not known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from histoscribe.section import Section
from histoscribe.widgets.contributions.launch import PLUGIN, show
from histoscribe.widgets.layers.painting import spot_layers
from histoscribe.widgets.panels.evidence.panel import behind, interval_of
from histoscribe.widgets.state.state import state_of

pytestmark = pytest.mark.usefixtures("own_settings")

MakeSection = Callable[..., Section]


@pytest.fixture
def predicted(make_section: MakeSection) -> Section:
    """A prediction that rests on two sections, one of them at hand; its first spot is on foreign tissue."""
    section = make_section("A1", kind="predicted")
    table, rng = section.table, np.random.default_rng(0)
    table.obsm["evidence"] = rng.permuted(np.tile(np.arange(20), (table.n_obs, 1)), axis=1)[:, :10]
    weights = np.sort(rng.random((table.n_obs, 10)), axis=1)[:, ::-1]
    table.obsm["evidence_weight"] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    table.obs["novelty"] = np.linspace(1.4, 0.2, table.n_obs)
    table.obs["unlike_training"] = table.obs["novelty"] > 1
    table.layers["low"], table.layers["high"] = table.X - 0.5, table.X + 1
    table.uns["histoscribe"] |= {
        "evidence_section": np.array(["B1"] * 10 + ["C1"] * 10, dtype=object),
        "evidence_spot": np.array([f"s{number}" for number in range(20)], dtype=object),
    }
    return section


def test_reference_spots_come_weightiest_first_with_crops_where_the_slide_is_at_hand(
    predicted: Section, make_section: MakeSection
) -> None:
    found = behind(predicted, 3, {"B1": make_section("B1")})
    shares = [reference.share for reference in found.references]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) + found.others == pytest.approx(1, abs=1e-5)
    assert found.crop is not None
    assert found.crop.shape[2] == 3
    for reference in found.references:
        assert (reference.crop is not None) == (reference.section == "B1")


def test_intervals_and_novelty_are_told_where_they_are_known(
    predicted: Section, make_section: MakeSection
) -> None:
    value = predicted.table.X[5, 1]
    assert interval_of(predicted, 5, "ERBB2") == pytest.approx((value - 0.5, value + 1))
    assert behind(predicted, 0, {}).novelty == pytest.approx(1.4)
    assert interval_of(make_section(), 5, "ERBB2") is None
    assert interval_of(predicted, 5, "CD19") is None


@pytest.mark.viewer
class TestPanel:
    """In a real window."""

    @pytest.fixture
    def panel(self, window: Any, predicted: Section, make_section: MakeSection) -> Any:
        show(window, [make_section("B1"), predicted])
        return window.window.add_plugin_dock_widget(PLUGIN, "Evidence")[1]

    def test_a_click_on_a_spot_shows_what_it_rests_on(
        self, window: Any, panel: Any, qtbot: Any, predicted: Section
    ) -> None:
        layer = spot_layers(window)[-1]
        click(window, np.array(layer.data_to_world(layer.data[0])))
        qtbot.waitUntil(lambda: panel.shown is not None, timeout=10_000)
        assert "s0" in panel.title.text()
        assert "unlike the training tissue" in panel.novelty.text()
        gene = state_of(window).gene
        assert panel.value.text().startswith(f"{gene}: ")
        assert "90 % interval" in panel.value.text()
        assert not panel.own.pixmap().isNull()

    def test_the_keys_go_from_spot_to_spot(self, window: Any, panel: Any, qtbot: Any) -> None:
        from qtpy.QtCore import Qt

        qtbot.keyClick(panel.row.native, Qt.Key.Key_Up)
        qtbot.waitUntil(lambda: panel.shown is not None and panel.shown.name == "s1", timeout=10_000)

    def test_spots_on_foreign_tissue_are_ringed(self, window: Any, panel: Any, predicted: Section) -> None:
        layer = spot_layers(window)[-1]
        panel.rings.value = True
        ringed = np.asarray(layer.border_width) > 0
        np.testing.assert_array_equal(ringed, predicted.table.obs["unlike_training"])
        panel.rings.value = False
        assert not np.asarray(layer.border_width).any()

    def test_a_removed_layer_leaves_nothing_behind(self, window: Any, panel: Any, qtbot: Any) -> None:
        panel.explain(spot_layers(window)[-1], 2)
        window.layers.clear()
        qtbot.wait(200)
        assert panel.shown is None
        assert "Predict first" in panel.title.text()


def click(viewer: Any, position: np.ndarray) -> None:
    """Press and release at a place of the world, as the canvas tells the viewer's callbacks."""
    from types import SimpleNamespace

    event = SimpleNamespace(position=tuple(position), type="mouse_press", modifiers=())
    running = [callback(viewer, event) for callback in viewer.mouse_drag_callbacks]
    running = [generator for generator in running if generator is not None and next(generator, 0) is None]
    event.type = "mouse_release"
    for generator in running:
        next(generator, None)
