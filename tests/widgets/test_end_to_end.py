"""The whole way in a real window, by clicks and keys, from opening a section to restoring the session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from histoscribe.widgets.contributions.launch import PLUGIN
from histoscribe.widgets.layers.layers import kind_of, section_of
from histoscribe.widgets.layers.painting import painted_layers, spot_layers
from histoscribe.widgets.layers.regions import classes_in
from histoscribe.widgets.session.file import SUFFIX
from histoscribe.widgets.state.state import state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]

LONG = 120_000


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """What the next file dialog is answered with."""

    def answer(path: Path) -> None:
        for name in ("getSaveFileName", "getOpenFileName"):
            monkeypatch.setattr(QFileDialog, name, lambda *_, **__: (str(path), ""))

    return answer


def test_from_a_section_to_a_session_and_back(
    make_napari_viewer_proxy: Any,
    registered: None,
    person_at: Callable[[Any], Any],
    desk: dict[str, Path],
    answers: Callable[[Path], None],
    tmp_path: Path,
) -> None:
    person = person_at(make_napari_viewer_proxy(show=True))
    window = person.window
    window.window.resize(1300, 900)

    window.open(str(desk["S3.h5ad"]), plugin=PLUGIN)
    assert [kind_of(section_of(layer)) for layer in spot_layers(window)] == ["measured"]

    predict(person, desk["predictor"])
    gene = choose_gene(person)
    compare(person)
    draw_regions(person)
    find_genes(person)
    impute(person, desk["imputer"])
    generate(person, desk["generator"])
    state_of(window).choose(gene)
    export(person, answers, tmp_path)
    before = [layer.name for layer in window.layers]
    window.close()

    again = person_at(make_napari_viewer_proxy(show=True))
    come_back(again, answers, tmp_path, before, gene)
    assert not [note for note in notification_manager.records if str(note.severity) == "error"]


def predict(person: Any, model: Path) -> None:
    panel = person.panel("Predict")
    panel.model.known.value = panel.model.known.values[-1]
    line = panel.model.elsewhere.line_edit.native
    line.clear()
    person.qtbot.keyClicks(line, str(model))
    person.click(panel.run_button)
    assert not panel.run_button.isEnabled()
    person.wait_for(panel)
    assert [kind_of(section_of(layer)) for layer in spot_layers(person.window)] == ["measured", "predicted"]


def choose_gene(person: Any) -> str:
    panel = person.panel("Genes")
    gene = section_of(spot_layers(person.window)[0]).genes[4]
    person.qtbot.keyClicks(panel.search, gene.lower())
    person.qtbot.keyClick(panel.search, Qt.Key.Key_Return)
    assert state_of(person.window).gene == gene
    assert all(gene in layer.features for layer in spot_layers(person.window))
    return gene


def compare(person: Any) -> None:
    panel = person.panel("Compare")
    person.click(panel.run_button)
    person.wait_for(panel)
    assert len(painted_layers(person.window)) == 3
    assert person.window.canvas.grid.enabled
    person.click(panel.view, 2, panel.table)
    assert state_of(person.window).gene == panel.table.gene_at(2)
    person.click(panel.panes_button)
    assert not person.window.canvas.grid.enabled


def draw_regions(person: Any) -> None:
    panel = person.panel("Regions")
    low, high = (end(spot_layers(person.window)[0].data, axis=0) for end in (np.min, np.max))
    middle = (low + high) / 2
    person.window.fit_to_view()
    for name, top, bottom in (
        ("Upper", low[0] - 40, middle[0] - 10),
        ("Lower", middle[0] + 10, high[0] + 40),
    ):
        person.click(panel.buttons["add"])
        model = panel.classes.model
        model.setData(model.index(model.rowCount() - 1, 0), name)
        person.click(panel.buttons["polygon"])
        left, right = low[1] - 40, high[1] + 40
        person.draw(np.array([[top, left], [top, right], [bottom, right], [bottom, left]]))
    layer = panel.drawn.value
    assert classes_in(layer) == ["Upper", "Lower"]
    labels = panel.classed().labels
    assert min((labels == name).sum() for name in ("Upper", "Lower")) >= 10


def find_genes(person: Any) -> None:
    panel = person.panel("Regions")
    analysis = panel
    analysis.tabs.setCurrentIndex(1)
    analysis.first.value = "Upper"
    analysis.second.value = "Lower"
    person.click(analysis.compare_button)
    person.qtbot.waitUntil(lambda: analysis.genes.frame is not None, timeout=LONG)
    person.click(analysis.views["genes"], 0, analysis.genes)
    assert state_of(person.window).gene == analysis.genes.gene_at(0)


def impute(person: Any, model: Path) -> None:
    panel = person.panel("Impute")
    panel.model.folder = model
    panel.source.choice.value = spot_layers(person.window)[0]
    person.click(panel.run_button)
    person.wait_for(panel)
    restored = [layer for layer in spot_layers(person.window) if "restored" in layer.name]
    assert len(restored) == 1
    person.click(panel.undo_button)
    assert not [layer for layer in spot_layers(person.window) if "restored" in layer.name]


def generate(person: Any, model: Path) -> None:
    panel = person.panel("Generate")
    panel.model.folder = model
    panel.primary.source.choice.value = spot_layers(person.window)[0]
    panel.cancer.value = "BRCA"
    panel.site.value = "liver"
    panel.samples.value = 10
    person.click(panel.run_button)
    person.wait_for(panel)
    assert panel.result is not None
    assert panel.result.table.n_obs == 10
    person.click(panel.undo_button)
    assert panel.result is None


def export(person: Any, answers: Callable[[Path], None], folder: Path) -> None:
    panel = person.panel("Export")
    for button, name in (
        (panel.picture_button, "view.png"),
        (panel.table_button, "table.csv"),
        (panel.report_button, "report.html"),
        (panel.save_button, f"session{SUFFIX}"),
    ):
        answers(folder / name)
        person.click(button)
        person.wait_for(panel)
        assert (folder / name).stat().st_size > 500, name


def come_back(
    person: Any, answers: Callable[[Path], None], folder: Path, before: list[str], gene: str
) -> None:
    panel = person.panel("Export")
    answers(folder / f"session{SUFFIX}")
    person.click(panel.open_button)
    person.wait_for(panel)
    kept = [name for name in before if "difference" not in name]
    assert [layer.name for layer in person.window.layers if "difference" not in layer.name] == kept
    assert state_of(person.window).gene == gene
    (regions,) = [layer for layer in person.window.layers if layer.name == "regions"]
    assert classes_in(regions) == ["Upper", "Lower"]
    assert all(gene in layer.features for layer in spot_layers(person.window))
