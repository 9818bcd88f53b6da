"""Saving a large slide from napari's dialog: the window stays alive, and the file is whole or as it was."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QFileDialog

from histoscribe.errors import Cancelled, SlideError, StorageError
from histoscribe.slide import Level, Slide, open_slide
from histoscribe.widgets.contributions.launch import PLUGIN
from histoscribe.widgets.jobs.tasks import JobDialog, waited_for
from histoscribe.widgets.layers.layers import slide_layer
from histoscribe.widgets.napari_private.window import unwrapped

pytestmark = pytest.mark.viewer

SIDE = 2048


class SlowPixels:
    """A level that takes a moment for each strip, as a slide on a network drive does."""

    def __init__(self, side: int, seconds: float = 0.15) -> None:
        self.shape, self.dtype, self.ndim, self.chunks = (side, side, 3), np.dtype(np.uint8), 3, (512, 512, 3)
        self.seconds, self.broken = seconds, False

    def __getitem__(self, key: Any) -> np.ndarray:
        time.sleep(self.seconds)
        if self.broken:
            raise SlideError("a tile cannot be read", where="tissue.svs")
        return np.broadcast_to(np.uint8(200), self.shape)[key].copy()


@pytest.fixture
def window(make_napari_viewer_proxy: Any, registered: None) -> Any:
    window = make_napari_viewer_proxy(show=True)
    levels = tuple(Level(SlowPixels(side), SIDE / side) for side in (SIDE, SIDE // 4))
    data, described, _ = slide_layer(Slide(Path("tissue.svs"), levels, mpp=0.5))
    window.add_image(data, **described)
    return window


def while_saving(action: Any) -> list[str]:
    """Let somebody act on the dialog as soon as it is there; the titles of the dialogs seen."""
    seen: list[str] = []

    def look() -> None:
        for dialog in QApplication.topLevelWidgets():
            if isinstance(dialog, JobDialog) and dialog.isVisible() and not seen:
                seen.append(dialog.windowTitle())
                assert not dialog.isModal()
                action(dialog)
        if not seen:
            QTimer.singleShot(10, look)

    QTimer.singleShot(10, look)
    return seen


def test_the_save_dialog_leaves_the_window_alive(
    window: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, beats = tmp_path / "saved.ome.tif", []
    before = len(notification_manager.records)
    kind = "Pyramidal OME-TIFF, lossless (*.ome.tif *.ome.tiff *.tif *.tiff)"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), kind))
    heart = QTimer()
    heart.timeout.connect(lambda: beats.append(1))
    heart.start(10)
    seen = while_saving(lambda _: setattr(window.scene.camera, "zoom", 3.0))
    unwrapped(window).window._qt_viewer._save_layers_dialog(selected=True)
    heart.stop()
    assert seen == ["Saving saved.ome.tif"]
    assert window.scene.camera.zoom == 3
    assert len(beats) > 10
    assert open_slide(path).levels[0].shape == (SIDE, SIDE)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert not [note for note in notification_manager.records[before:] if str(note.severity) == "error"]
    qtbot.waitUntil(lambda: not any(isinstance(one, JobDialog) for one in QApplication.topLevelWidgets()))


@pytest.mark.parametrize(("ending", "how"), [("ome.tif", "button"), ("ome.zarr", "Escape")])
def test_stopping_leaves_what_was_there(
    window: Any, qtbot: Any, tmp_path: Path, ending: str, how: str
) -> None:
    path = tmp_path / f"saved.{ending}"
    if ending == "ome.tif":
        path.write_bytes(b"an older file")
    stops = {
        "button": lambda dialog: qtbot.mouseClick(dialog.tasks.cancel_button, Qt.MouseButton.LeftButton),
        "Escape": lambda dialog: qtbot.keyClick(dialog, Qt.Key.Key_Escape),
    }
    while_saving(stops[how])
    with pytest.raises(Cancelled, match="stopped on request"):
        window.layers.save(str(path), plugin=PLUGIN)
    if ending == "ome.tif":
        assert [one.name for one in tmp_path.iterdir()] == [path.name]
        assert path.read_bytes() == b"an older file"
    else:
        assert not path.exists()


def test_closing_the_window_stops_the_writing(window: Any, tmp_path: Path) -> None:
    layers = window.layers
    while_saving(lambda _: window.close())
    with pytest.raises(Cancelled):
        layers.save(str(tmp_path / "saved.ome.tif"), plugin=PLUGIN)
    end = time.monotonic() + 5
    while list(tmp_path.iterdir()) and time.monotonic() < end:
        time.sleep(0.02)
    assert not list(tmp_path.iterdir())


def test_what_goes_wrong_reaches_the_caller_in_plain_words(window: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        window.layers.save(str(tmp_path / "file" / "saved.ome.tif"), plugin=PLUGIN)
    window.layers[0].metadata["slide"].levels[1].pixels.broken = True
    with pytest.raises(SlideError, match="tile cannot be read"):
        window.layers.save(str(tmp_path / "saved.ome.tif"), plugin=PLUGIN)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_off_the_gui_thread_the_job_simply_runs(qtbot: Any) -> None:
    import threading

    found: list[str] = []
    work = threading.Thread(
        target=lambda: found.append(waited_for(lambda _: threading.current_thread().name, ""))
    )
    work.start()
    work.join()
    assert found == [work.name]


def test_the_command_palette_asks_for_a_path_and_open_ends_as_ours_does(
    make_napari_viewer_proxy: Any,
    registered: None,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    from histoscribe.section import write_section
    from histoscribe.simulate.sample import sample_cohort
    from histoscribe.widgets.contributions.readers import get_reader
    from histoscribe.widgets.contributions.writers import write_image
    from histoscribe.widgets.napari_private.window import panels_of
    from histoscribe.widgets.state.state import state_of

    window = make_napari_viewer_proxy()
    image, table = tmp_path / "written.ome.tif", tmp_path / "section.h5ad"
    chosen = ["", str(image)]
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (chosen[0], ""))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (chosen[1], ""))
    assert get_reader() is None
    assert write_image() == []
    window.add_image(np.zeros((90, 90, 3), np.uint8), rgb=True)
    assert write_image() == [str(image)]
    chosen[0] = str(write_section(sample_cohort()[0], table))
    assert get_reader() is None
    qtbot.waitUntil(lambda: "Genes" in panels_of(window), timeout=20_000)
    assert window.canvas.overlays.scale_bar.visible
    assert state_of(window).gene
    assert any(state_of(window).gene in getattr(layer, "features", ()) for layer in window.layers)


def test_a_gene_is_painted_a_turn_before_panels_are_made(
    make_napari_viewer_proxy: Any, registered: None, qtbot: Any
) -> None:
    from histoscribe.simulate.sample import sample_cohort
    from histoscribe.widgets.contributions.readers import _settle_with_panels
    from histoscribe.widgets.layers.opened import layers_of
    from histoscribe.widgets.napari_private.window import panels_of, unwrapped
    from histoscribe.widgets.state.state import state_of

    window = make_napari_viewer_proxy()
    for layer in layers_of(sample_cohort()[0]):
        window._add_layer_from_data(*layer)
    _settle_with_panels(lambda: unwrapped(window))
    assert state_of(window).gene
    assert not panels_of(window)
    qtbot.waitUntil(lambda: "Genes" in panels_of(window), timeout=20_000)
