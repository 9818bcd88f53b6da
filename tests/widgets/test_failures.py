"""What goes wrong while the viewer runs: a word in the corner, nothing lost, nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from histoscribe.errors import HistoscribeError
from histoscribe.predictor import Predictor
from histoscribe.progress import Progress
from histoscribe.section import Section, open_section
from histoscribe.simulate import simulate_section
from histoscribe.simulate.sample import sample_folder
from histoscribe.widgets.contributions.launch import PLUGIN, show
from histoscribe.widgets.jobs.tasks import TaskBar
from histoscribe.widgets.layers.painting import spot_layers

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("own_settings")]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained in seconds on two small simulated sections."""
    sections = [simulate_section(seed, genes=30, size_um=600) for seed in (1, 2)]
    folder = tmp_path_factory.mktemp("model") / "small"
    Predictor(epochs=1, members=1, components=8, rank=4, width=16, heads=2).fit(
        sections, encoder="builtin"
    ).save(folder)
    return folder


@pytest.fixture(scope="module")
def simulated() -> Section:
    return simulate_section(3, genes=30, size_um=600)


@pytest.fixture
def window(make_napari_viewer_proxy: Any, registered: None) -> Any:
    """A real viewer; that no widget outlives it is checked when the test ends."""
    return make_napari_viewer_proxy(strict_qt=True)


@pytest.fixture
def panel(window: Any, model: Path, simulated: Section) -> Any:
    """The Predict panel on a section, ready to run."""
    show(window, [simulated])
    _, opened = window.window.add_plugin_dock_widget(PLUGIN, "Predict")
    opened.model.folder = model
    return opened


def told() -> list[tuple[str, str]]:
    """Severity and words of what the user was told, the first word first."""
    return [(str(one.severity), one.message) for one in notification_manager.records]


def run(panel: Any, qtbot: Any) -> None:
    panel.run_button.click()
    ended(panel, qtbot)


def ended(panel: Any, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not panel.tasks.running, timeout=60_000)


def plain(words: tuple[str, str], *expected: str) -> None:
    """A user's error in plain words: no class, no trace, no talk of a fault of ours."""
    severity, message = words
    assert severity == "error"
    assert all(one in message for one in expected), message
    assert not any(one in message for one in ("Traceback", "Error", "fault of Histoscribe")), message


def works_again(panel: Any, window: Any, qtbot: Any) -> None:
    """Nothing is lost: the section is there, and the next run brings its layer."""
    before = len(spot_layers(window))
    assert before >= 1
    assert panel.run_button.isEnabled()
    run(panel, qtbot)
    assert len(spot_layers(window)) == before + 1


def test_a_model_that_goes_while_it_is_loaded(
    window: Any, panel: Any, model: Path, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    panel.model.folder = copy
    load = Predictor.load

    def gone(folder: Path, **options: Any) -> Predictor:
        shutil.rmtree(copy)
        return load(folder, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Predictor, "load", gone)
        run(panel, qtbot)
    plain(told()[-1], str(copy))
    panel.model.folder = model
    works_again(panel, window, qtbot)


def test_a_model_that_is_damaged(window: Any, panel: Any, model: Path, qtbot: Any, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    weights = copy / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    panel.model.folder = copy
    run(panel, qtbot)
    plain(told()[-1], "copy")


def test_a_layer_deleted_in_mid_run(window: Any, panel: Any, simulated: Section, qtbot: Any) -> None:
    panel.run_button.click()
    window.layers.remove(spot_layers(window)[0])
    ended(panel, qtbot)
    assert spot_layers(window) == []
    assert told()[-1] == ("info", "The layer was removed meanwhile; its prediction is discarded.")
    window.layers.clear()
    show(window, [simulated])
    works_again(panel, window, qtbot)


@pytest.mark.filterwarnings("ignore::histoscribe.slide.tiled.BrokenTileWarning")
@pytest.mark.parametrize("loss", ["removed", "emptied"])
def test_a_slide_lost_from_the_disk(window: Any, panel: Any, qtbot: Any, tmp_path: Path, loss: str) -> None:
    """A removed file is read on by who has it open; what an emptied one has lost is painted magenta."""
    folder = tmp_path / "P1A"
    shutil.copytree(sample_folder() / "P1A", folder)
    section = open_section(folder, slide=folder / "P1A.tif")
    window.layers.clear()
    show(window, [section])
    before = len(told())
    if loss == "removed":
        (folder / "P1A.tif").unlink()
    else:
        os.truncate(folder / "P1A.tif", 0)
    run(panel, qtbot)
    window.scene.camera.zoom *= 8
    qtbot.wait(200)
    for words in told()[before:]:
        plain(words, "P1A")
    np.testing.assert_allclose(spot_layers(window)[0].data, section.centres_um)


def test_the_viewer_closed_in_mid_run(
    window: Any, panel: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = threading.Event()
    begun = threading.Event()

    def long(self: Predictor, section: Section, progress: Progress) -> Section:
        begun.set()
        try:
            for done in range(5000):
                progress.report("predicting", done, 5000)
                stopped.wait(0.002)
        finally:
            stopped.set()
        return section

    monkeypatch.setattr(Predictor, "predict", long)
    before = threading.active_count()
    panel.run_button.click()
    qtbot.waitUntil(begun.is_set, timeout=20_000)
    words = len(told())
    window.close()
    qtbot.waitUntil(stopped.is_set, timeout=10_000)
    qtbot.waitUntil(lambda: threading.active_count() <= before, timeout=10_000)
    qtbot.wait(50)
    assert len(told()) == words


def test_two_runs_at_once_are_refused_in_one_panel(window: Any, panel: Any, qtbot: Any) -> None:
    panel.run_button.click()
    panel.run_button.click()
    panel.start()
    ended(panel, qtbot)
    assert len(spot_layers(window)) == 2


def test_two_panels_run_at_once(window: Any, panel: Any, qtbot: Any) -> None:
    run(panel, qtbot)
    before = len(told())
    _, compare = window.window.add_plugin_dock_widget(PLUGIN, "Compare")
    panel.run_button.click()
    compare.run_button.click()
    ended(panel, qtbot)
    ended(compare, qtbot)
    assert compare.compared is not None
    assert len(spot_layers(window)) == 3
    assert not any(severity == "error" for severity, _ in told()[before:])


@pytest.mark.parametrize("kind", ["MemoryError", "OutOfMemoryError"])
def test_out_of_memory(
    window: Any, panel: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    import torch

    error = MemoryError() if kind == "MemoryError" else torch.OutOfMemoryError("CUDA out of memory. Tried …")

    def greedy(*_: object, **__: object) -> Section:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(Predictor, "predict", greedy)
        run(panel, qtbot)
    plain(told()[-1], "memory is not enough")
    works_again(panel, window, qtbot)


def test_a_graphics_card_that_is_not_there(window: Any, panel: Any, qtbot: Any) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a graphics card")
    panel.device.value = "cuda"
    run(panel, qtbot)
    plain(told()[-1], "cuda")
    panel.device.value = "auto"
    works_again(panel, window, qtbot)


def test_a_disk_that_is_full_when_exporting(
    window: Any, panel: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    _, export = window.window.add_plugin_dock_widget(PLUGIN, "Export")
    for save in (export.save_picture, export.save_report, export.save_session):
        save(tmp_path / "file" / "view.png")
        ended(export, qtbot)
        plain(told()[-1], "cannot write")
    assert len(spot_layers(window)) == 1


QUIT = """
import time, napari
from qtpy.QtCore import QTimer
from histoscribe.widgets.jobs.tasks import TaskBar
viewer = napari.Viewer()
bar = TaskBar()
viewer.window.add_dock_widget(bar)
def long(progress):
    for done in range(100_000):
        time.sleep(0.1)
        progress.report("waiting", done, 100_000)
bar.run(long, lambda _: None)
QTimer.singleShot(1000, viewer.close)
napari.run()
print("left")
"""


def test_the_program_left_in_mid_run() -> None:
    done = subprocess.run([sys.executable, "-c", QUIT], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "left\n")
    assert "Traceback" not in done.stderr


def test_nothing_but_histoscribes_own_errors_is_plain(window: Any, qtbot: Any) -> None:
    bar = TaskBar()
    qtbot.addWidget(bar)

    def fail(_: Progress) -> None:
        raise HistoscribeError("no spots", where="a.h5ad", remedy="name another file")

    bar.run(fail, lambda _: None)
    qtbot.waitUntil(lambda: not bar.running, timeout=5000)
    assert told()[-1] == ("error", "a.h5ad: no spots; name another file.")
