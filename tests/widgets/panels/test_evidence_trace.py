"""Tracing a gene to the image, in a real window with models trained in seconds."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from histoscribe.errors import ModelError
from histoscribe.features.store import storing
from histoscribe.predictor import Predictor, attribute
from histoscribe.progress import Progress
from histoscribe.record import amend_record, keep_record, record_of
from histoscribe.section import Section
from histoscribe.simulate import simulate_section
from histoscribe.slide import open_slide, write_slide
from histoscribe.widgets.contributions.launch import PLUGIN, show
from histoscribe.widgets.layers.maps import find_map, map_of, maps_on
from histoscribe.widgets.layers.painting import spot_layers
from histoscribe.widgets.panels.evidence import explaining
from histoscribe.widgets.panels.evidence.explaining import (
    BEHIND,
    DESCRIPTOR,
    REACH,
    TraceRequest,
    find_model,
    trace,
)
from histoscribe.widgets.state.preferences import recent_models, remember_model
from histoscribe.widgets.state.state import state_of

pytestmark = pytest.mark.usefixtures("own_settings")


@dataclass(frozen=True)
class Made:
    """A model that looks along graphs, and what it predicted of a section and of half of it."""

    folder: Path
    predictor: Predictor
    whole: Section
    part: Section


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    known = [simulate_section(seed, genes=30, size_um=600) for seed in (1, 2)]
    quick = {"epochs": 1, "members": 1, "components": 8, "rank": 4, "width": 16, "heads": 2, "radii": (1.5,)}
    predictor = Predictor(**quick, graphs=("spatial", "functional"), device="cpu").fit(known)
    folder = tmp_path_factory.mktemp("models") / "small"
    predictor.save(folder)
    measured = simulate_section(3, name="S3", genes=30, size_um=900)
    whole = predictor.predict(measured)
    half = np.array([(0, 0), (0, 900), (450, 900), (450, 0)]) / measured.mpp
    slide = measured.slide.with_mpp(measured.mpp)
    table = predictor.predict(slide, pitch_um=90.0, region=[half]).table
    part = replace(whole, table=table, pitch_um=90.0, spot_um=50.0)
    return Made(folder, predictor, whole, part)


def request_of(made: Made, section: Section, model: Path | None = None) -> TraceRequest:
    return TraceRequest(section, made.predictor.genes[0], model, [made.folder])


def test_a_trace_explains_the_values_that_the_layer_shows(made: Made) -> None:
    traced = trace(request_of(made, made.whole), Progress())
    assert traced.described.folder == made.folder
    assert traced.described.off < 1e-4
    assert traced.described.slide is None
    reaches = traced.reaches()
    assert [one.title.split(" to ")[0].split(",")[0] for one in reaches] == [*traced.found.reaches[::-1]]
    assert len({one.limits for one in reaches}) == 1
    assert reaches[0].limits[0] == -reaches[0].limits[1]
    behind = traced.behind(4).values
    assert np.isfinite(behind[4])
    assert np.isnan(behind).any()


def test_a_drawn_region_is_traced_in_the_units_of_its_slide(made: Made) -> None:
    traced = trace(request_of(made, made.part), Progress())
    described = traced.described
    assert described.slide is not None
    assert described.off < 1e-4
    alone = attribute(made.predictor, described.features, made.part.centres_um, made.predictor.genes[0])
    assert not np.allclose(alone.by_reach, traced.found.by_reach, atol=1e-4)


def test_a_second_gene_needs_no_second_look_at_the_slide(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trace(request_of(made, made.whole), Progress())
    monkeypatch.setattr(explaining, "describe", None)
    again = TraceRequest(made.whole, made.predictor.genes[1], None, [made.folder], first.described)
    assert trace(again, Progress()).found.gene == made.predictor.genes[1]


def test_models_are_known_by_their_fingerprint(made: Made, tmp_path: Path) -> None:
    fingerprint = made.predictor.card.sha256
    assert find_model(fingerprint, None, [tmp_path, made.folder]) == made.folder
    with pytest.raises(ModelError, match="not among those used lately"):
        find_model(fingerprint, None, [tmp_path])
    with pytest.raises(ModelError, match="not the model that made the prediction"):
        find_model("0" * 64, made.folder, [])


@pytest.mark.viewer
class TestPanel:
    """In a real window."""

    @pytest.fixture
    def window(self, make_napari_viewer_proxy: Any, registered: None, made: Made) -> Any:
        remember_model(made.folder)
        window = make_napari_viewer_proxy(strict_qt=True)
        show(window, [made.whole])
        state_of(window).choose(made.predictor.genes[0])
        return window

    @pytest.fixture
    def panel(self, window: Any) -> Any:
        return window.window.add_plugin_dock_widget(PLUGIN, "Evidence")[1]

    def test_reaches_descriptors_and_the_tiles_behind_a_spot_become_layers(
        self, window: Any, panel: Any, made: Made, qtbot: Any
    ) -> None:
        gene = made.predictor.genes[0]
        assert panel.run_button.text() == f"Trace {gene} to the image"
        for _ in range(2):  # again changes the layers that are there
            panel.run_button.click()
            ended(panel, qtbot)
            reaches = [one for one in maps_on(window, made.whole) if map_of(one).kind.startswith(REACH)]
            assert [one.name.split(" (log")[0] for one in reaches][-1] == f"S3: own tile to {gene}"
            assert [one.visible for one in reaches] == [False] * (len(reaches) - 1) + [True]
        view = panel.trace.view
        assert panel.trace.table.rowCount() == 10
        assert all(view.rowHeight(row) >= view.sizeHintForRow(row) for row in range(10))
        assert panel.trace.model.folder == made.folder

        panel.trace.view.clicked.emit(panel.trace.table.index(3, 0))
        name = panel.trace.table.gene_at(3)
        assert map_of(find_map(window, made.whole, DESCRIPTOR)).title == f"{name} to {gene}"

        layer = spot_layers(window)[-1]
        for row in (5, 9):
            panel.explain(layer, row)
            qtbot.waitUntil(lambda row=row: behind_is_of(window, made.whole, row), timeout=20_000)
        behind = find_map(window, made.whole, BEHIND)
        assert behind.visible
        assert np.flatnonzero(behind.border_width).tolist() == [9]
        panel.trace.behind.native.click()
        window.layers.remove(behind.name)
        panel.explain(layer, 5)
        qtbot.wait(300)
        assert find_map(window, made.whole, BEHIND) is None

    def test_of_a_guided_prediction_the_model_s_own_word_is_traced(
        self, window: Any, panel: Any, made: Made, qtbot: Any
    ) -> None:
        before = record_of(made.whole.table)
        amend_record(made.whole.table, guide_section="S3", guide_spots=8)
        try:
            panel.run_button.click()
            ended(panel, qtbot)
        finally:
            keep_record(made.whole.table, before)
        assert "8 measured spots of this slide corrected" in panel.trace.words.text()
        assert "have changed" not in panel.trace.words.text()

    def test_attention_of_a_model_with_graphs_is_offered(self, window: Any, panel: Any, made: Made) -> None:
        for kind in ("attention_spatial", "attention_functional"):
            panel.maps.boxes[kind].native.click()
        shown = {map_of(one).kind: map_of(one) for one in maps_on(window, made.whole)}
        assert set(shown) == {"attention_spatial", "attention_functional"}
        np.testing.assert_allclose(
            shown["attention_spatial"].values, made.whole.table.obs["attention_spatial"]
        )

    def test_a_model_that_is_gone_is_said_and_can_be_chosen(
        self, window: Any, panel: Any, made: Made, qtbot: Any, tmp_path: Path
    ) -> None:
        moved = tmp_path / "elsewhere"
        shutil.move(made.folder, moved)
        try:
            panel.run_button.click()
            ended(panel, qtbot)
            message = notification_manager.records[-1].message
            assert "not among those used lately" in message
            assert "choose its folder in the field Model" in message
            assert not maps_on(window, made.whole)
            panel.trace.model.folder = moved
            panel.run_button.click()
            ended(panel, qtbot)
            assert maps_on(window, made.whole)
            assert recent_models()[0] == moved
        finally:
            shutil.move(moved, made.folder)

    def test_a_layer_deleted_during_the_run_takes_its_trace_along(
        self, window: Any, panel: Any, made: Made, qtbot: Any
    ) -> None:
        panel.run_button.click()
        window.layers.remove(spot_layers(window)[-1].name)
        ended(panel, qtbot)
        assert "discarded" in notification_manager.records[-1].message
        assert not maps_on(window, made.whole)
        assert panel.trace.traced is None
        assert not panel.run_button.isEnabled()

    def test_a_feature_store_in_use_is_used(
        self, window: Any, panel: Any, made: Made, qtbot: Any, tmp_path: Path
    ) -> None:
        write_slide(made.whole.slide, tmp_path / "S3.tif")
        slide = open_slide(tmp_path / "S3.tif").with_mpp(made.whole.mpp)
        on_disk = replace(made.whole, slide=slide)
        window.layers.clear()
        show(window, [on_disk])
        with storing(tmp_path / "store"):
            panel.run_button.click()
        ended(panel, qtbot)
        assert maps_on(window, on_disk)
        assert any((tmp_path / "store").iterdir())

    def test_a_cancelled_trace_leaves_nothing_and_can_be_started_again(
        self, window: Any, panel: Any, made: Made, qtbot: Any
    ) -> None:
        panel.run_button.click()
        assert not panel.run_button.isEnabled()
        panel.tasks.cancel_button.click()
        ended(panel, qtbot)
        assert not maps_on(window, made.whole)
        assert panel.run_button.isEnabled()

    def test_a_prediction_without_its_slide_says_what_is_missing(
        self, window: Any, panel: Any, made: Made, qtbot: Any
    ) -> None:
        window.layers.clear()
        show(window, [replace(made.whole, slide=None)])
        panel.run_button.click()
        assert "together with its H&E" in notification_manager.records[-1].message
        assert not panel.tasks.running


def behind_is_of(window: Any, section: Section, row: int) -> bool:
    layer = find_map(window, section, BEHIND)
    return layer is not None and section.table.obs_names[row] in map_of(layer).title


def ended(panel: Any, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=60_000)
