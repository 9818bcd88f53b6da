"""The Predict panel: what is refused, what is predicted, cancelling, undoing, its keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from histoscribe.section import Section
from histoscribe.widgets.contributions.launch import show
from histoscribe.widgets.layers.painting import spot_layers
from histoscribe.widgets.panels.predict.prediction import PredictRequest, cost_words
from histoscribe.widgets.state.state import state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]


@pytest.fixture
def panel(panel_for: Callable[[str], Any]) -> Any:
    """Opened the way the menu does."""
    return panel_for("Predict")


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained in seconds on a small simulated section."""
    from histoscribe.predictor import Predictor
    from histoscribe.simulate import simulate_section

    sections = [simulate_section(seed, genes=30, size_um=600) for seed in (1, 2)]
    folder = tmp_path_factory.mktemp("model") / "small"
    Predictor(epochs=1, members=1, components=8, rank=4, width=16, heads=2).fit(
        sections, encoder="builtin"
    ).save(folder)
    return folder


@pytest.fixture
def simulated() -> Section:
    from histoscribe.simulate import simulate_section

    return simulate_section(3, genes=30, size_um=600)


def test_a_section_is_predicted_on_its_spots_and_undone(
    viewer: Any, panel: Any, simulated: Section, small_model: Path, qtbot: Any
) -> None:
    show(viewer, [simulated])
    panel.model.folder = small_model
    assert panel.run_button.isEnabled()
    panel.run_button.click()
    assert not panel.run_button.isEnabled()
    panel.start()
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=60_000)
    measured, predicted = spot_layers(viewer)
    table = predicted.metadata["adata"]
    assert list(table.obs_names) == list(simulated.table.obs_names)
    np.testing.assert_allclose(predicted.data, measured.data)
    assert state_of(viewer).gene in table.var_names
    panel.undo_button.click()
    assert spot_layers(viewer) == [measured]
    assert not panel.undo_button.isEnabled()


def test_what_own_spots_may_bring_is_said_before_they_are_learned_from(
    viewer: Any, panel: Any, simulated: Section
) -> None:
    show(viewer, [simulated])
    count = simulated.table.n_obs
    assert 18 <= count < 36
    assert panel.own.text == f"Learn from its own {count} spots"
    assert "raised the mean r" not in panel.cost.text()
    panel.own.value = True
    assert "as many spots at random raised the mean r over genes by .03 to .15" in panel.cost.text()


def test_a_slide_is_predicted_inside_a_drawn_region_only(
    viewer: Any, panel: Any, simulated: Section, small_model: Path, qtbot: Any
) -> None:
    show(viewer, [simulated.slide])
    panel.model.folder = small_model
    panel.place.value = "region"
    panel.region.add()
    box = np.array([[100, 100], [100, 450], [450, 450], [450, 100]], float)
    viewer.layers[-1].add_polygons(box)
    panel.pitch.value = 50
    panel.start()
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=60_000)
    (predicted,) = spot_layers(viewer)
    assert len(predicted.data) > 10
    assert (predicted.data >= 100).all()
    assert (predicted.data <= 450).all()


def test_a_region_counts_as_soon_as_it_is_drawn(
    viewer: Any, panel: Any, simulated: Section, small_model: Path
) -> None:
    show(viewer, [simulated.slide])
    panel.model.folder = small_model
    panel.place.value = "region"
    drawn = panel.region.add()
    before = panel.cost.text()
    drawn.add_polygons(np.array([(0.0, 0), (0, 400), (400, 400), (400, 0)]))
    assert panel.cost.text() != before
    assert panel.cost.text().startswith("Up to 52 tiles")


@pytest.mark.parametrize(
    ("encoder", "words"),
    [
        ("builtin-1", "64 tiles: roughly 1 s with this model's encoder on two cores."),
        ("builtin-1+texture-1", "64 tiles: roughly 4 s with this model's encoder on two cores."),
        ("another@1", "64 tiles."),
        ("", "64 tiles."),
    ],
)
def test_the_time_said_is_that_of_the_models_encoder(
    make_section: Callable[..., Section], encoder: str, words: str
) -> None:
    section = make_section()
    assert cost_words(section, "spots", 55, (), encoder) == words


def test_a_layer_removed_meanwhile_is_no_trouble(
    viewer: Any, panel: Any, simulated: Section, small_model: Path, qtbot: Any
) -> None:
    show(viewer, [simulated])
    panel.model.folder = small_model
    panel.start()
    viewer.layers.clear()
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=60_000)
    assert len(viewer.layers) == 0
    assert "discarded" in notification_manager.records[-1].message


def test_a_missing_model_is_told_before_anything_runs(viewer: Any, panel: Any, section: Section) -> None:
    show(viewer, [section])
    panel.model.folder = Path("nowhere")
    panel.start()
    assert not panel.tasks.running
    assert "holds no model" in notification_manager.records[-1].message


def test_without_layers_there_is_nothing_to_press(viewer: Any, panel: Any) -> None:
    assert not panel.run_button.isEnabled()
    panel.start()
    assert "open a slide or a section" in notification_manager.records[-1].message


def test_a_slide_without_mpp_asks_for_it(
    viewer: Any, panel: Any, make_slide: Callable[..., Any], tmp_path: Path, qtbot: Any
) -> None:
    (tmp_path / "card.json").write_text("{}")
    show(viewer, [make_slide(mpp=None)])
    assert panel.place.current_choice == "A grid over the tissue"
    assert not panel.mpp.native.isHidden()
    panel.model.folder = tmp_path
    panel.mpp.value = 0.25
    assert panel.request().target.mpp == 0.25
    panel.start()
    (layer,) = viewer.layers
    assert tuple(layer.scale) == (0.25, 0.25)
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=60_000)


def test_own_spots_are_learned_from_when_asked(small_model: Path) -> None:
    from histoscribe.progress import Progress
    from histoscribe.record import record_of
    from histoscribe.simulate import simulate_section
    from histoscribe.widgets.panels.predict.prediction import gain_words, predict

    section = simulate_section(3, genes=30, size_um=600)
    alone, guided = (
        predict(PredictRequest(small_model, section, "spots", own=own), Progress())[0]
        for own in (False, True)
    )
    assert record_of(guided.table).guide_spots == section.table.n_obs
    assert f"Learned from {section.table.n_obs} spots" in gain_words(guided)
    assert gain_words(alone) == ""
