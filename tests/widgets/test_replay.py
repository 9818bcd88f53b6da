"""What was done in a window is done again by the script and by the shell, to the byte."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
from napari.utils.notifications import notification_manager
from npe2 import PluginManifest
from scipy.sparse import issparse

from histoscribe.models import read_card
from histoscribe.record import record_of
from histoscribe.section import write_section
from histoscribe.simulate import simulate_section
from histoscribe.simulate.section import slide_in_memory
from histoscribe.slide import open_slide, write_slide
from histoscribe.tiles import read_regions
from histoscribe.widgets.contributions.launch import PLUGIN
from histoscribe.widgets.layers.layers import section_of
from histoscribe.widgets.layers.painting import spot_layers
from histoscribe.widgets.panels.export.script import HOMES
from histoscribe.widgets.panels.train import panel as training_panel
from histoscribe.widgets.state.state import state_of

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]


@pytest.fixture
def run(make_napari_viewer_proxy: Any, npe2pm: Any, person_at: Callable[[Any], Any]) -> Any:
    """A window, its panels, and each run to its end."""
    npe2pm.register(PluginManifest.from_distribution(PLUGIN), warn_disabled=False)
    person = person_at(make_napari_viewer_proxy())

    def panel(name: str) -> Any:
        return person.window.window.add_plugin_dock_widget(PLUGIN, name)[1]

    def to_the_end(panel: Any, act: Callable[..., None], *args: Any) -> None:
        act(*args)
        person.wait_for(panel)

    return person.window, panel, to_the_end


def again(folder: Path, command: list[str]) -> dict[str, Path]:
    """Run a script in a process of its own; the files that it writes."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "HISTOSCRIBE_NO_SCREEN": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/", check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return {one.name: one for one in (folder / "again.out").iterdir() if one.is_file()}


def tables_are_the_same(one: Path, other: Path) -> None:
    if one.suffix == ".csv":
        assert one.read_bytes() == other.read_bytes(), one.name
        return
    left, right = anndata.read_h5ad(one), anndata.read_h5ad(other)
    pd.testing.assert_frame_equal(left.obs, right.obs)
    pd.testing.assert_frame_equal(left.var, right.var)
    assert set(left.layers) == set(right.layers)
    for name in {None, *left.layers}:
        values = (each.X if name is None else each.layers[name] for each in (left, right))
        np.testing.assert_array_equal(*(one.toarray() if issparse(one) else one for one in values))


@pytest.mark.slow
@pytest.mark.timeout(1800)  # nine processes, each with its libraries
def test_script_and_shell_write_the_same_tables(run: Any, desk: dict[str, Path], tmp_path: Path) -> None:
    window, panel, to_the_end = run
    window.open(str(desk["S3.h5ad"]), plugin=PLUGIN)
    section = section_of(spot_layers(window)[0])
    low, high = section.centres_um.min(axis=0), section.centres_um.max(axis=0)
    box = np.array([low - 40, [low[0] - 40, high[1] + 40], high * (0.6, 1), [high[0] * 0.6, low[1] - 40]])
    files = {
        name: tmp_path / name
        for name in ("grid.csv", "genes.csv", "filled.csv", "profiles.csv", "spots.h5ad")
    }

    predict = panel("Predict")
    predict.model.folder = desk["predictor"]
    drawn = predict.region.add()
    drawn.add_polygons(box)
    predict.place.value = "region"
    predict.pitch.value = 61.5
    to_the_end(predict, predict.start)
    grid = spot_layers(window)[-1]
    predict.place.value = "spots"
    predict.own.value = True
    to_the_end(predict, predict.start)
    guided = spot_layers(window)[-1]
    predict.own.value = False
    to_the_end(predict, predict.start)
    predict.undo()

    compare = panel("Compare")
    compare.predicted.value = guided
    to_the_end(compare, compare.start)
    compare.save_table(files["genes.csv"])

    impute = panel("Impute")
    impute.model.folder = desk["imputer"]
    to_the_end(impute, impute.start)
    impute.save(files["filled.csv"])

    generate = panel("Generate")
    generate.model.folder = desk["generator"]
    generate.primary.inside.value = True
    generate.primary.region.layer.value = drawn
    generate.samples.value = 7
    to_the_end(generate, generate.start)
    generate.save(files["profiles.csv"])

    export = panel("Export")
    state_of(window).choose(section.genes[2])
    export.layer.value = grid
    to_the_end(export, export.save_table, files["grid.csv"])
    export.layer.value = guided
    to_the_end(export, export.save_table, files["spots.h5ad"])
    to_the_end(export, export.save_picture, tmp_path / "view.png")
    to_the_end(export, export.save_script, tmp_path / "again.py")
    assert not [note.message for note in notification_manager.records if str(note.severity) == "error"]

    command = record_of(section_of(guided).table).command
    assert command.startswith("histoscribe predict ")
    assert "--guide own" in command
    script = (tmp_path / "again.py").read_text(encoding="utf-8")
    assert script.count(".predict(") == 2  # what was undone is not done again
    assert "# Only a window writes view.png." in script
    (outline,) = read_regions(tmp_path / "again.files" / "region.geojson")

    np.testing.assert_allclose(outline.polygon * section.mpp, box)
    for command in ([sys.executable, str(tmp_path / "again.py")], ["sh", str(tmp_path / "again.sh")]):
        written = again(tmp_path, command)
        assert set(files) < set(written)
        for name, path in files.items():
            tables_are_the_same(path, written[name])
            written[name].unlink()


def test_regions_of_predicted_spots_are_done_again(run: Any, desk: dict[str, Path], tmp_path: Path) -> None:
    window, panel, to_the_end = run
    window.open(str(desk["S3.h5ad"]), plugin=PLUGIN)
    predict = panel("Predict")
    predict.model.folder = desk["predictor"]
    to_the_end(predict, predict.run_button.click)
    predicted = spot_layers(window)[-1]
    regions = panel("Regions")
    regions.spots.value = predicted
    regions.buttons["polygon"].click()
    low, high = predicted.data.min(axis=0) - 40, predicted.data.max(axis=0) + 40
    middle = (low[0] + high[0]) / 2
    regions.drawn.value.add_polygons(np.array([low, [low[0], high[1]], [middle, high[1]], [middle, low[1]]]))
    regions.refresh()
    files = {name: tmp_path / name for name in ("genes.csv", "patterns.csv", "spots.csv")}
    for button, model, name in (
        (regions.compare_button, regions.genes, "genes.csv"),
        (regions.moran_button, regions.space, "patterns.csv"),
    ):
        to_the_end(regions, button.click)
        regions.save_table(model, files[name])
        assert "p_adjusted" not in model.frame
        assert "no p values" in regions.words.text()
    export = panel("Export")
    export.layer.value = predicted
    export.every_gene.value = True
    to_the_end(export, export.save_table, files["spots.csv"])
    to_the_end(export, export.save_script, tmp_path / "again.py")
    assert not [note.message for note in notification_manager.records if str(note.severity) == "error"]

    runpy.run_path(str(tmp_path / "again.py"))
    for name, path in files.items():
        tables_are_the_same(path, tmp_path / "again.out" / name)


def test_alignment_clusters_and_regions_are_done_again(run: Any, tmp_path: Path) -> None:
    window, panel, to_the_end = run
    made = simulate_section(2, name="K2", genes=14, size_um=1470, mpp=2.0)
    write_slide(made.slide, tmp_path / "K2.tif")
    write_section(replace(made, slide=open_slide(tmp_path / "K2.tif").with_mpp(2.0)), tmp_path / "K2.h5ad")
    turned = np.ascontiguousarray(np.rot90(np.asarray(made.slide.levels[0].pixels[:])))
    write_slide(slide_in_memory(turned, 2.0, "rescan"), tmp_path / "rescan.tif")
    for name in ("K2.h5ad", "rescan.tif"):
        window.open(str(tmp_path / name), plugin=PLUGIN)
    measured = spot_layers(window)[0]
    names = ("plain.csv", "laid.h5ad", "clusters.h5ad", "genes.csv", "neighbours.csv", "patterns.csv")
    files = {name: tmp_path / name for name in names}

    regions = panel("Regions")
    regions.spots.value = measured
    middle = measured.data.mean(axis=0)
    for corner in (measured.data.min(axis=0) - 40, measured.data.max(axis=0) + 40):
        regions.add_class()
        regions.draw("add_polygon")
        across = corner[0], middle[1]
        regions.drawn.value.add_polygons(np.array([corner, across, middle, (middle[0], corner[1])]))
    regions.refresh()
    for button, model, name in (
        (regions.compare_button, regions.genes, "genes.csv"),
        (regions.neighbours_button, regions.space, "neighbours.csv"),
        (regions.moran_button, regions.space, "patterns.csv"),
    ):
        to_the_end(regions, button.click)
        regions.save_table(model, files[name])
    align = panel("Align")
    align.moving.value, align.fixed.value = measured, window.layers["rescan"]
    to_the_end(align, align.start)
    align.lay()
    laid = spot_layers(window)[-1]
    export = panel("Export")
    for layer, name in ((measured, "plain.csv"), (laid, "laid.h5ad"), (measured, "clusters.h5ad")):
        if name == "clusters.h5ad":
            clusters = panel("Clusters")
            clusters.spots.value = measured
            to_the_end(clusters, clusters.start)
        export.layer.value = layer
        to_the_end(export, export.save_table, files[name])
    to_the_end(export, export.save_script, tmp_path / "again.py")
    assert not [note.message for note in notification_manager.records if str(note.severity) == "error"]

    runpy.run_path(str(tmp_path / "again.py"))
    for name, path in files.items():
        tables_are_the_same(path, tmp_path / "again.out" / name)
    assert "expression cluster" in anndata.read_h5ad(tmp_path / "again.out" / "clusters.h5ad").obs
    assert "histoscribe align" in (tmp_path / "again.sh").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_model_is_trained_again_from_the_same_sections(
    run: Any, quick_training: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_panel, "EFFORTS", {"Usual": {"epochs": 2, "members": 1}})
    window, panel, to_the_end = run
    for seed in (1, 2, 3):
        made = simulate_section(seed, name=f"K{seed}", genes=14, size_um=700, mpp=2.0)
        write_slide(made.slide, tmp_path / f"K{seed}.tif")
        placed = replace(made, slide=open_slide(tmp_path / f"K{seed}.tif").with_mpp(2.0))
        write_section(placed, tmp_path / f"K{seed}.h5ad")
        window.open(str(tmp_path / f"K{seed}.h5ad"), plugin=PLUGIN)
    train = panel("Train")
    train.list.clearSelection()
    for row in (0, 1):
        train.list.selectRow(row)
    train.table.setData(train.table.index(1, 1), "Mrs B")
    train.name.value, train.tissue.value, train.genes.value = "own", "lung, left", 9
    to_the_end(train, train.start)
    predict = panel("Predict")
    predict.target.value = spot_layers(window)[2]
    assert predict.model.folder == train.request().folder
    to_the_end(predict, predict.start)
    export = panel("Export")
    export.layer.value = spot_layers(window)[-1]
    to_the_end(export, export.save_table, tmp_path / "K3.predicted.h5ad")
    to_the_end(export, export.save_script, tmp_path / "again.py")
    assert not [note.message for note in notification_manager.records if str(note.severity) == "error"]

    trained = read_card(train.request().folder)
    for command in ([sys.executable, str(tmp_path / "again.py")], ["sh", str(tmp_path / "again.sh")]):
        written = again(tmp_path, command)
        card = read_card(tmp_path / "again.out" / "own")
        assert (card.sha256, card.tissue, card.patients) == (trained.sha256, "lung, left", trained.patients)
        tables_are_the_same(tmp_path / "K3.predicted.h5ad", written["K3.predicted.h5ad"])
        written["K3.predicted.h5ad"].unlink()
        shutil.rmtree(tmp_path / "again.out")


def test_a_script_uses_public_names_alone() -> None:
    for name, home in HOMES.items():
        assert name in import_module(f"histoscribe.{home}").__all__
