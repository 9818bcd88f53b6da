"""Ten tasks of a newcomer, by mouse and keys in one window: each takes at most five actions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from histoscribe.widgets.layers.layers import kind_of, section_of
from histoscribe.widgets.layers.painting import painted_layers, spot_layers
from histoscribe.widgets.napari_private.window import panels_of
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
