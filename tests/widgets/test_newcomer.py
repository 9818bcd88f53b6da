"""Tasks of a newcomer, by mouse and keys: each takes at most five actions, from a fresh window too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Shapes
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QFileDialog, QTabBar

from histoscribe.section import open_section
from histoscribe.simulate.sample import sample_folder
from histoscribe.tiles import Region, write_regions
from histoscribe.widgets.layers.layers import kind_of, section_of
from histoscribe.widgets.layers.painting import painted_layers, spot_layers
from histoscribe.widgets.napari_private.window import panels_of, unwrapped
from histoscribe.widgets.session.file import SUFFIX
from histoscribe.widgets.state.state import state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]

MOST = 5


class Newcomer:
    """Somebody at a window whose clicks, words and choices are counted."""

    def __init__(self, person: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.person, self.window, self.qtbot = person, person.window, person.qtbot
        self.actions = 0
        self.spent: dict[str, int] = {}
        self._folder, self._monkeypatch = folder, monkeypatch

    @contextmanager
    def task(self, name: str) -> Iterator[None]:
        self.actions = 0
        yield
        self.spent[name] = self.actions
        errors = [note.message for note in notification_manager.records if str(note.severity) == "error"]
        assert errors == [], name

    def panel(self, name: str) -> Any:
        """Plugins, Histoscribe, the panel's name: three clicks; the tab of one that is open: one."""
        self.actions += 1 if name in panels_of(self.window) else 3
        return self.person.panel(name)

    def click(self, widget: Any) -> None:
        self.actions += 1
        self.person.click(widget)

    def type(self, widget: Any, words: str) -> None:
        self.actions += 1
        self.qtbot.keyClicks(widget, words)

    def enter(self, widget: Any) -> None:
        self.actions += 1
        self.qtbot.keyClick(widget, Qt.Key.Key_Return)

    def choose(self, field: Any, value: Any) -> None:
        self.actions += 1
        field.value = value

    def drop(self, path: Path) -> None:
        """A file let fall on the canvas."""
        self.actions += 1
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path))])
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        viewer = unwrapped(self.window).window._qt_viewer
        viewer.dropEvent(QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, data, left, none))
        self.qtbot.wait(200)

    def key(self, letter: str, panel: str) -> Any:
        """Shift and a letter in the canvas, which opens a panel."""
        self.actions += 1
        canvas = unwrapped(self.window).window._qt_viewer.canvas.native
        self.qtbot.keyClick(canvas, getattr(Qt.Key, f"Key_{letter}"), Qt.KeyboardModifier.ShiftModifier)
        self.qtbot.waitUntil(lambda: panel in panels_of(self.window))
        return panels_of(self.window)[panel]

    def turn(self, panel: Any, name: str) -> None:
        """The tab of that name, by a click."""
        self.actions += 1
        bar = panel.tabs.findChild(QTabBar)
        (place,) = (number for number in range(bar.count()) if bar.tabText(number) == name)
        self.qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.tabRect(place).center())

    def draw(self, corners: np.ndarray) -> None:
        self.actions += 1
        self.person.draw(corners)

    def named(self, name: str) -> Path:
        """A file's name typed into the dialog that comes next."""
        self.actions += 1
        path = self._folder / name
        self._monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))
        return path


@pytest.fixture
def newcomer(
    make_napari_viewer_proxy: Any,
    registered: None,
    person_at: Callable[[Any], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quick_training: None,
) -> Newcomer:
    return Newcomer(person_at(make_napari_viewer_proxy(show=True)), tmp_path, monkeypatch)


@pytest.mark.slow
def test_ten_tasks_take_at_most_five_actions_each(newcomer: Newcomer, tmp_path: Path) -> None:
    window, state = newcomer.window, state_of(newcomer.window)
    with newcomer.task("open a section"):
        newcomer.click(newcomer.panel("First steps").buttons[0])
        (layer,) = spot_layers(window)
    with newcomer.task("find a gene"):
        genes = newcomer.panel("Genes")
        newcomer.type(genes.search, "erbb2")
        newcomer.enter(genes.search)
        assert state.gene == "ERBB2"
        assert "ERBB2" in layer.features
    with newcomer.task("sort genes by their pattern in space"):
        newcomer.actions += 1
        genes.search.clear()
        newcomer.choose(genes.order, "moran")
        newcomer.person.wait_for(genes)
        assert genes.genes.shown != sorted(genes.genes.shown)
    with newcomer.task("predict with a bundled model"):
        predict = newcomer.panel("Predict")
        assert predict.model.card is not None
        newcomer.click(predict.run_button)
        newcomer.person.wait_for(predict)
        assert [kind_of(section_of(one)) for one in spot_layers(window)] == ["measured", "predicted"]
    with newcomer.task("compare with what was measured"):
        compare = newcomer.panel("Compare")
        newcomer.click(compare.run_button)
        newcomer.person.wait_for(compare)
        assert len(painted_layers(window)) == 3
        newcomer.click(compare.panes_button)
    with newcomer.task("draw a region"):
        regions = newcomer.panel("Regions")
        window.fit_to_view()
        newcomer.click(regions.buttons["polygon"])
        low, high = layer.data.min(axis=0), layer.data.max(axis=0)
        middle = (low[0] + high[0]) / 2
        low, right = low - 40, high[1] + 40
        newcomer.draw(np.array([[low[0], low[1]], [low[0], right], [middle, right], [middle, low[1]]]))
        assert (regions.classed().labels != "").sum() > 20
    with newcomer.task("find genes of the region"):
        newcomer.actions += 1
        regions.tabs.setCurrentIndex(1)
        newcomer.click(regions.compare_button)
        newcomer.person.wait_for(regions)
        assert "effective_spots" in regions.genes.frame
    with newcomer.task("save a picture"):
        export = newcomer.panel("Export")
        picture = newcomer.named("view.png")
        newcomer.click(export.picture_button)
        newcomer.person.wait_for(export)
        assert picture.stat().st_size > 500
    with newcomer.task("save the session"):
        export = newcomer.panel("Export")
        session = newcomer.named(f"session{SUFFIX}")
        newcomer.click(export.save_button)
        newcomer.person.wait_for(export)
        assert session.stat().st_size > 500
    with newcomer.task("train a model of one's own"):
        train = newcomer.panel("Train")
        newcomer.choose(train.effort, "Usual")
        newcomer.click(train.run_button)
        newcomer.person.wait_for(train)
        predict.reset_choices()
        assert tmp_path / "models" / "my-model" in predict.model.known.values
    assert len(newcomer.spent) == 10
    assert max(newcomer.spent.values()) <= MOST, newcomer.spent


@pytest.fixture
def at_most_five(newcomer: Newcomer) -> Iterator[Newcomer]:
    """A fresh window, in which one task is done."""
    with newcomer.task("the task"):
        yield newcomer
    assert 0 < newcomer.actions <= MOST


SECTION = sample_folder() / "P1A"


def test_a_gene_is_found_in_a_section(at_most_five: Newcomer) -> None:
    at_most_five.drop(SECTION)
    genes = at_most_five.key("G", "Genes")
    at_most_five.type(genes.search, "erbb2")
    at_most_five.enter(genes.search)
    assert "ERBB2" in spot_layers(at_most_five.window)[0].features


@pytest.mark.slow
def test_a_prediction_is_compared_with_what_was_measured(at_most_five: Newcomer) -> None:
    at_most_five.drop(SECTION)
    predict = at_most_five.key("D", "Predict")
    at_most_five.click(predict.run_button)
    at_most_five.person.wait_for(predict)
    compare = at_most_five.key("C", "Compare")
    at_most_five.click(compare.run_button)
    at_most_five.person.wait_for(compare)
    assert len(painted_layers(at_most_five.window)) == 3


def test_a_region_is_drawn_and_tells_its_genes(at_most_five: Newcomer) -> None:
    at_most_five.drop(SECTION)
    regions = at_most_five.key("R", "Regions")
    at_most_five.window.fit_to_view()
    (layer,) = spot_layers(at_most_five.window)
    (low, left), (high, right) = layer.data.min(axis=0) - 40, layer.data.max(axis=0)
    middle = (low + high) / 2
    at_most_five.draw(np.array([[low, left], [low, right], [middle, right], [middle, left]]))
    at_most_five.turn(regions, "Genes")
    at_most_five.click(regions.compare_button)
    at_most_five.person.wait_for(regions)
    assert "effective_spots" in regions.genes.frame


def test_a_report_is_written(at_most_five: Newcomer) -> None:
    at_most_five.drop(SECTION)
    export = at_most_five.key("E", "Export")
    report = at_most_five.named("report.html")
    at_most_five.click(export.report_button)
    at_most_five.person.wait_for(export)
    assert "P1A" in report.read_text(encoding="utf-8")


def test_annotations_of_qupath_are_opened_and_a_slip_is_undone(
    at_most_five: Newcomer, tmp_path: Path
) -> None:
    corners = open_section(SECTION).centres[[0, 20, 60]]
    write_regions([Region("Tumour", (200, 0, 0), corners)], tmp_path / "annotations.geojson")
    at_most_five.drop(SECTION)
    at_most_five.drop(tmp_path / "annotations.geojson")
    regions = at_most_five.key("R", "Regions")
    (layer,) = (one for one in at_most_five.window.layers if isinstance(one, Shapes))
    canvas = np.array(at_most_five.window.scene.camera.center[-2:])
    at_most_five.draw(canvas + np.array([[-90.0, -90], [-90, 90], [90, 90]]))
    assert layer.nshapes == 2
    at_most_five.click(regions.buttons["undo"])
    assert layer.nshapes == 1


@pytest.mark.slow
def test_a_gene_is_restored(at_most_five: Newcomer) -> None:
    at_most_five.drop(SECTION)
    impute = at_most_five.panel("Impute")
    at_most_five.click(impute.run_button)
    at_most_five.person.wait_for(impute)
    assert [kind_of(section_of(one)) for one in spot_layers(at_most_five.window)] == ["measured", "predicted"]


def test_a_session_is_saved_and_opened_again(at_most_five: Newcomer) -> None:
    at_most_five.drop(SECTION)
    export = at_most_five.key("E", "Export")
    saved = at_most_five.named(f"mine{SUFFIX}")
    at_most_five.click(export.save_button)
    at_most_five.person.wait_for(export)
    at_most_five.window.layers.clear()
    at_most_five.drop(saved)
    at_most_five.qtbot.waitUntil(lambda: len(spot_layers(at_most_five.window)) == 1, timeout=30_000)
