"""A person at work in a real window, by clicks and keys: from a file to the same picture again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from npe2 import PluginManifest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QFileDialog

from histoscribe.section import Section, write_section
from histoscribe.widgets.arrangement import is_copy
from histoscribe.widgets.colours import DIFFERENCE
from histoscribe.widgets.layers import DERIVED, kind_of, section_of
from histoscribe.widgets.painting import painted_layers, spot_layers
from histoscribe.widgets.preferences import PLUGIN
from histoscribe.widgets.session_file import SUFFIX
from histoscribe.widgets.state import state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]

SITES = ("liver", "lung")


@pytest.fixture(scope="module")
def sections() -> list[Section]:
    """Three small sections, their genes named as the generator knows them."""
    from histoscribe.generator import shipped_gene_sets
    from histoscribe.simulate import simulate_section

    sets = shipped_gene_sets()
    names = list(dict.fromkeys(gene for members in sets.values() for gene in members[:12]))[:40]
    made = []
    for seed in (1, 2, 3):
        section = simulate_section(seed, genes=40, size_um=800)
        section.table.var_names = names
        made.append(replace(section, name=f"S{seed}", patient=f"P{seed}"))
    return made


@pytest.fixture(scope="module")
def files(sections: list[Section], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the section that is opened, and three models trained in seconds."""
    import anndata
    import pandas as pd

    from histoscribe.generator import Generator, cohort_of
    from histoscribe.imputer import Imputer
    from histoscribe.predictor import Predictor

    folder = tmp_path_factory.mktemp("journey")
    first, second, third = sections
    small = {"epochs": 1, "members": 1, "components": 8, "rank": 4, "width": 16, "heads": 2}
    Predictor(**small).fit([first, second]).save(folder / "predictor")
    Imputer(factors=6, steps=0).fit(first).save(folder / "imputer")
    random = np.random.default_rng(0)
    kinds = [("primary_tumor", "BRCA", ""), *(("solid_tissue_normal", "", site) for site in SITES)]
    kinds += [("metastatic", "BRCA", site) for site in SITES]
    obs = pd.DataFrame(
        [(*kind, f"p{number}-{kind[0]}-{kind[2]}") for number in range(12) for kind in kinds],
        columns=["sample_type", "cancer", "site", "patient"],
    )
    obs.index = [f"s{number}" for number in range(len(obs))]
    values = random.normal(6, 1, (len(obs), len(first.genes))).astype(np.float32)
    table = anndata.AnnData(values, obs=obs, var=pd.DataFrame(index=first.genes))
    Generator(met_steps=10, mixing_steps=10).fit(cohort_of(table)).save(folder / "generator")
    known = [gene for place, gene in enumerate(third.genes) if place % 5]
    write_section(third.with_table(third.table[:, known].copy()), folder / "S3.h5ad")
    return folder


class Person:
    """Does to a viewer what a person can: open panels, click, type, draw."""

    def __init__(self, window: Any, qtbot: Any) -> None:
        self.window, self.qtbot = window, qtbot

    def panel(self, name: str) -> Any:
        """Open a panel from the menu."""
        return self.window.window.add_plugin_dock_widget(PLUGIN, name)[1]

    def click(self, button: Any) -> None:
        assert button.isEnabled(), button.text()
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def write(self, field: Any, text: str, key: Any = None) -> None:
        field.clear()
        self.qtbot.keyClicks(field, text)
        if key is not None:
            self.qtbot.keyClick(field, key)

    def wait(self, panel: Any) -> None:
        self.qtbot.waitUntil(lambda: not panel.tasks.running, timeout=60_000)

    def canvas(self) -> Any:
        view = getattr(self.window, "__wrapped__", self.window).window._qt_viewer
        return view.canvas.native

    def outline(self, corners: list[tuple[float, float]]) -> None:
        """Click around a part of the canvas, given as shares of its height and width; the last one twice."""
        canvas = self.canvas()
        for row, column in corners:
            place = QPoint(round(column * canvas.width()), round(row * canvas.height()))
            self.qtbot.mouseMove(canvas, place)
            self.qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=place)
            self.qtbot.wait(30)
        self.qtbot.mouseDClick(canvas, Qt.MouseButton.LeftButton, pos=place)
        self.qtbot.wait(50)


@pytest.fixture
def make_window(make_napari_viewer_proxy: Any, npe2pm: Any) -> Any:
    npe2pm.register(PluginManifest.from_distribution(PLUGIN), warn_disabled=False)

    def make() -> Any:
        return make_napari_viewer_proxy(show=True)

    return make


def answers(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """The file dialogs answer with this path."""
    for name in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(QFileDialog, name, lambda *_, **__: (str(path), ""))


def test_from_a_file_to_the_same_picture_again(
    make_window: Any, files: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    window = make_window()
    person = Person(window, qtbot)
    begun = len(notification_manager.records)

    window.open(files / "S3.h5ad", plugin=PLUGIN)
    (measured,) = spot_layers(window)
    assert kind_of(section_of(measured)) == "measured"

    predict = person.panel("Predict")
    person.write(predict.model.combo.lineEdit(), str(files / "predictor"))
    person.click(predict.run_button)
    person.wait(predict)
    assert [kind_of(section_of(layer)) for layer in spot_layers(window)] == ["measured", "predicted"]

    genes = person.panel("Genes")
    wanted = section_of(measured).genes[7]
    person.write(genes.search, wanted.lower(), Qt.Key.Key_Return)
    assert state_of(window).gene == wanted
    assert all(wanted in layer.features for layer in spot_layers(window))

    compare = person.panel("Compare")
    person.click(compare.run_button)
    person.wait(compare)
    assert any(DIFFERENCE in layer.metadata for layer in painted_layers(window))
    person.click(compare.panes_button)
    assert not window.canvas.grid.enabled

    regions = person.panel("Regions")
    window.fit_to_view()
    for corners in (
        [(0.2, 0.4), (0.2, 0.6), (0.45, 0.6), (0.45, 0.4)],
        [(0.55, 0.4), (0.55, 0.6), (0.8, 0.5)],
    ):
        person.click(regions.buttons["add"])
        person.click(regions.buttons["polygon"])
        person.outline(corners)
    drawn = regions.drawn.layer
    assert len(drawn.data) == 2
    regions.refresh()
    person.click(regions.analysis.compare_button)
    person.wait(regions.analysis)
    assert len(regions.analysis.genes.frame) > 0

    impute = person.panel("Impute")
    impute.model.choose(files / "imputer")
    impute.source.combo.setCurrentText(measured.name)
    person.click(impute.run_button)
    person.wait(impute)
    assert any("restored" in layer.name for layer in spot_layers(window))

    generate = person.panel("Generate")
    person.write(generate.model.combo.lineEdit(), str(files / "generator"))
    generate.site.setCurrentText("liver")
    person.click(generate.run_button)
    person.wait(generate)
    assert generate.result is not None, notification_manager.records[-1].message

    export = person.panel("Export")
    for button, name in ((export.picture_button, "view.svg"), (export.report_button, "report.html")):
        answers(monkeypatch, tmp_path / name)
        person.click(button)
        person.wait(export)
        assert (tmp_path / name).stat().st_size > 10_000
    state_of(window).choose(wanted)
    window.scene.camera.zoom *= 1.5
    answers(monkeypatch, tmp_path / f"all{SUFFIX}")
    person.click(export.save_button)
    person.wait(export)
    before = {layer.name: np.asarray(layer.face_color) for layer in spot_layers(window)}
    outlines, zoom = [np.asarray(one) for one in drawn.data], window.scene.camera.zoom
    names = [layer.name for layer in window.layers if DERIVED not in layer.metadata and not is_copy(layer)]
    told = {str(one.severity) for one in notification_manager.records[begun:]}
    assert told <= {"info"}
    window.close()
    QApplication.processEvents()

    window = make_window()
    person = Person(window, qtbot)
    export = person.panel("Export")
    person.click(export.open_button)
    person.wait(export)
    after = {layer.name: np.asarray(layer.face_color) for layer in spot_layers(window)}
    assert [layer.name for layer in window.layers] == names
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_allclose(after[name], before[name], atol=1e-5)
    assert state_of(window).gene == wanted
    assert window.scene.camera.zoom == pytest.approx(zoom)
    again = person.panel("Regions").drawn.layer
    for old, new in zip(outlines, again.data, strict=True):
        np.testing.assert_allclose(old, new)
