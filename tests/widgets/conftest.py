"""Small slides and sections made by hand, and napari's settings kept away from the user's."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from histoscribe.section import Section
from histoscribe.slide import Level, Slide

_LONG = 120_000
GENES = ("EPCAM", "ERBB2", "COL1A1", "CD3E", "MKI67")


def _screen_of_its_own() -> None:
    """A virtual screen for this worker: on one that is shared, windows take the keyboard from one another."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    atexit.register(server.terminate)
    os.close(writing)
    with os.fdopen(reading) as stream:
        os.environ["DISPLAY"] = f":{stream.readline().strip()}"


if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("LP_NUM_THREADS", "1")  # of the software that stands in for a graphics card
    if shutil.which("Xvfb"):
        _screen_of_its_own()


@pytest.fixture(autouse=True)
def nothing_told_before() -> None:
    """What earlier tests told the user is not held against this one."""
    from napari.utils.notifications import notification_manager

    notification_manager.records.clear()


@pytest.fixture(autouse=True)
def polite_jobs(
    polite: Callable[[], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Whatever jobs the panels run, once all have ended the process must be as the first of them found it.

    napari draws a number for the tip in each new window, which is not the jobs' doing.
    """
    from histoscribe.widgets.jobs import loading
    from histoscribe.widgets.jobs.tasks import TaskBar

    start = TaskBar.run
    found: list[AbstractContextManager[None]] = []

    def run(tasks: TaskBar, job: Any, apply: Any) -> bool:
        if not found and not loading._PROCESS.jobs:
            found.append(polite())
            found[0].__enter__()
        return start(tasks, job, apply)

    monkeypatch.setattr(TaskBar, "run", run)
    if "napari._qt.widgets.qt_welcome" in sys.modules:
        monkeypatch.setattr("napari._qt.widgets.qt_welcome.choice", min, raising=False)
    yield
    until = time.monotonic() + 30
    while loading._PROCESS.jobs and time.monotonic() < until:
        time.sleep(0.02)
    if found:
        found[0].__exit__(None, None, None)


@pytest.fixture(autouse=True)
def quick_farewell(monkeypatch: pytest.MonkeyPatch) -> None:
    """napari looks through all of memory for garbage when a window's layers go; here the young will do."""
    if "napari._vispy.canvas" in sys.modules:
        young = SimpleNamespace(collect=partial(gc.collect, 1))
        monkeypatch.setattr("napari._vispy.canvas.gc", young)


class Pixels:
    """A level that counts how often it is read."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.reads = array, 0
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim
        self.chunks = (64, 64, 3)

    def __getitem__(self, key: Any) -> np.ndarray:
        self.reads += 1
        return self.array[key]


@pytest.fixture
def make_slide() -> Callable[..., Slide]:
    def make(mpp: float | None = 0.5, first: float = 1.0, side: int = 400) -> Slide:
        rng = np.random.default_rng(1)
        levels = []
        for factor in (1, 4):
            pixels = rng.integers(120, 255, (side // factor, side // factor, 3)).astype(np.uint8)
            levels.append(Level(Pixels(pixels), first * factor))
        return Slide(Path("tissue.svs"), tuple(levels), mpp=mpp)

    return make


@pytest.fixture
def make_section(make_slide: Callable[..., Slide]) -> Callable[..., Section]:
    def make(
        name: str = "A1", kind: str = "measured", slide: Slide | None = None, genes: tuple[str, ...] = GENES
    ) -> Section:
        import anndata
        import pandas as pd
        from scipy import sparse

        rng = np.random.default_rng(len(name) + len(kind))
        rows, columns = np.mgrid[60:360:40, 60:360:40].reshape(2, -1)
        counts = rng.poisson(5, (len(rows), len(genes))).astype(np.float32)
        x = sparse.csr_matrix(counts) if kind == "measured" else np.log1p(counts)
        table = anndata.AnnData(
            x,
            obs=pd.DataFrame(index=[f"s{i}" for i in range(len(rows))]),
            var=pd.DataFrame(index=list(genes)),
            obsm={"spatial": np.column_stack([columns, rows]).astype(float)},
            uns={"histoscribe": {"kind": kind, "name": name}},
        )
        return Section(name, table, slide or make_slide(), 0.5, 15.0, 20.0, "P1")

    return make


@pytest.fixture
def section(make_section: Callable[..., Section]) -> Section:
    return make_section()


@pytest.fixture(scope="session")
def manifest() -> Any:
    """What the plugin says of itself; read once, for it is looked for among all packages."""
    from npe2 import PluginManifest

    from histoscribe.widgets.napari_private.probe import PLUGIN

    return PluginManifest.from_distribution(PLUGIN)


@pytest.fixture
def registered(manifest: Any, npe2pm: Any) -> None:
    """napari knows the plugin."""
    npe2pm.register(manifest, warn_disabled=False)


@pytest.fixture
def window(make_napari_viewer_proxy: Any, registered: None) -> Any:
    """A real viewer, as plugins are handed it."""
    return make_napari_viewer_proxy()


@pytest.fixture
def dock(window: Any) -> Callable[[str], Any]:
    """Opens a panel of the window the way the menu does."""
    from histoscribe.widgets.napari_private.probe import PLUGIN

    return lambda name: window.window.add_plugin_dock_widget(PLUGIN, name)[1]


@pytest.fixture
def viewer() -> Any:
    """A viewer's model without a window."""
    from napari.components import ViewerModel

    return ViewerModel()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip before Qt is started, which would end the whole run without a screen."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    if (
        item.get_closest_marker("viewer")
        and sys.platform == "linux"
        and not any(map(os.environ.get, screens))
    ):
        pytest.skip("no screen: run under xvfb-run, or scripts/with-screen")


@pytest.fixture
def panel_for(viewer: Any, registered: None, qtbot: Any) -> Callable[[str], Any]:
    """Makes a panel for a viewer without a window, which hears of layers as docked ones do."""
    from npe2 import PluginManager

    def make(name: str) -> Any:
        known = {one.display_name: one for one in PluginManager.instance().iter_widgets()}
        panel = known[name].get_callable()(viewer)
        qtbot.addWidget(panel)
        for change in ("inserted", "removed", "reordered"):
            viewer.layers.events[change].connect(panel.reset_choices)
        return panel

    return make


@pytest.fixture
def own_settings(tmp_path: Path) -> None:
    """The user's own settings out of reach."""
    from qtpy.QtCore import QSettings

    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path / "settings"))


@dataclass(frozen=True)
class Person:
    """Somebody who uses one window with the mouse and the keyboard."""

    window: Any
    qtbot: Any

    def panel(self, name: str) -> Any:
        """Open a panel by clicking through the menus; one that is open comes to the front."""
        from qtpy.QtWidgets import QMenuBar

        from histoscribe.widgets.napari_private.window import panels_of

        if name not in panels_of(self.window):
            plugins = self.window.window.plugins_menu
            bar = next(one for one in plugins.parent().findChildren(QMenuBar) if one.isVisible())
            self.choose(bar, plugins.menuAction(), plugins.isVisible)
            ours = next(one.menu() for one in plugins.actions() if one.text() == "Histoscribe")
            self.choose(plugins, ours.menuAction(), ours.isVisible)
            entry = next(one for one in ours.actions() if one.text() == f"{name} (Histoscribe)")
            self.choose(ours, entry, lambda: name in panels_of(self.window))
        panel = panels_of(self.window)[name]
        panel.parent().raise_()
        self.qtbot.wait(50)
        return panel

    def choose(self, menu: Any, entry: Any, done: Callable[[], bool]) -> None:
        """Click an entry of an open menu until that has worked: a menu that just opens takes no click."""
        for _ in range(50):
            self.qtbot.mouseClick(menu, _left(), pos=menu.actionGeometry(entry).center())
            self.qtbot.wait(100)
            if done():
                return
        raise AssertionError(f"{entry.text()} does nothing")

    def click(self, widget: Any, row: int | None = None, model: Any = None) -> None:
        """Click a widget; of a view, the first cell of a row."""
        widget = getattr(widget, "native", widget)
        if row is None:
            self.qtbot.mouseClick(widget, _left())
            return
        place = widget.visualRect(model.index(row, 0)).center()
        self.qtbot.mouseClick(widget.viewport(), _left(), pos=place)

    def wait_for(self, panel: Any) -> None:
        """Wait until the panel's job has ended."""
        self.qtbot.waitUntil(lambda: not panel.tasks.running, timeout=_LONG)

    def draw(self, corners_um: np.ndarray) -> None:
        """Click corner after corner on the tissue; a double click ends the shape."""
        from qtpy.QtCore import QPoint

        from histoscribe.widgets.napari_private.window import unwrapped

        canvas = unwrapped(self.window).window._qt_viewer.canvas.native
        camera = self.window.scene.camera
        middle = np.array([canvas.height(), canvas.width()]) / 2
        places = middle + (corners_um - np.array(camera.center[-2:])) * camera.zoom
        spots = [QPoint(round(column), round(row)) for row, column in places]
        for spot in spots:
            self.qtbot.mouseMove(canvas, spot)
            self.qtbot.mouseClick(canvas, _left(), pos=spot)
            self.qtbot.wait(30)
        self.qtbot.mouseDClick(canvas, _left(), pos=spots[-1])
        self.qtbot.wait(100)


@pytest.fixture
def person_at(qtbot: Any) -> Callable[[Any], Person]:
    """Puts somebody with a mouse and a keyboard before a window."""
    return lambda window: Person(window, qtbot)


def _left() -> Any:
    from qtpy.QtCore import Qt

    return Qt.MouseButton.LeftButton


@pytest.fixture
def focus_order() -> Callable[[Any], list[tuple[int, int]]]:
    """Where the Tab key leads in a panel, from its first widget: places from the top, then from the left."""

    def places(panel: Any) -> list[tuple[int, int]]:
        from qtpy.QtCore import QPoint, Qt

        found, one = [], panel.nextInFocusChain()
        while one is not panel and panel.isAncestorOf(one):
            reached = bool(one.focusPolicy() & Qt.FocusPolicy.TabFocus) and one.isVisibleTo(panel)
            if reached and one.isEnabled() and one.focusProxy() is None:
                place = one.mapTo(panel, QPoint(0, one.height() // 2))
                found.append((place.y() // 8, place.x()))
            one = one.nextInFocusChain()
        return found

    return places


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A section's file that lacks some genes, its slide, a predictor and an imputer."""
    from histoscribe.imputer import Imputer
    from histoscribe.predictor import Predictor
    from histoscribe.section import write_section
    from histoscribe.simulate import simulate_section
    from histoscribe.slide import open_slide, write_slide

    folder = tmp_path_factory.mktemp("desk")
    known = [simulate_section(seed, name=f"K{seed}", genes=40, size_um=700) for seed in (1, 2)]
    predictor = Predictor(epochs=1, members=1, components=8, rank=4, width=16, heads=2).fit(
        known, encoder="builtin"
    )
    predictor.save(folder / "predictor")
    Imputer(factors=8, steps=0).fit(known[0]).save(folder / "imputer")
    section = simulate_section(3, name="S3", genes=40, size_um=700)
    write_slide(section.slide, folder / "S3.tif")
    kept = [gene for place, gene in enumerate(section.genes) if place % 4]
    slide = open_slide(folder / "S3.tif").with_mpp(section.mpp)
    section = replace(section.with_table(section.table[:, kept].copy()), slide=slide)
    write_section(section, folder / "S3.h5ad")
    _save_generator(kept, folder / "generator")
    return {name: folder / name for name in ("predictor", "imputer", "generator", "S3.h5ad")}


def _save_generator(genes: list[str], folder: Path) -> None:
    """A generator of a few steps on profiles of these genes: two cancers in two organs."""
    import anndata
    import pandas as pd

    from histoscribe.generator import Generator, cohort_of

    rng = np.random.default_rng(0)
    means = {name: rng.normal(6, 1, len(genes)) for name in ("BRCA", "LUSC", "liver", "lung")}
    rows = []
    for number in range(8):
        rows += [("primary_tumor", cancer, "", f"p{number}", means[cancer]) for cancer in ("BRCA", "LUSC")]
        for site in ("liver", "lung"):
            rows.append(("solid_tissue_normal", "", site, f"n{number}", means[site]))
            rows += [
                (
                    "metastatic",
                    cancer,
                    site,
                    f"m{number}{cancer}",
                    0.7 * means[cancer] + 0.3 * means[site] + 1,
                )
                for cancer in ("BRCA", "LUSC")
            ]
    obs = pd.DataFrame(
        [row[:4] for row in rows],
        columns=["sample_type", "cancer", "site", "patient"],
        index=[f"s{number}" for number in range(len(rows))],
    )
    x = np.stack([row[4] for row in rows]) + rng.normal(0, 0.4, (len(rows), len(genes)))
    table = anndata.AnnData(x.astype(np.float32), obs=obs, var=pd.DataFrame(index=genes))
    Generator(met_steps=20, mixing_steps=20).fit(cohort_of(table)).save(folder)


@pytest.fixture
def quick_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Train panel learns in a second, and puts its models into `models` of the test's folder."""
    from histoscribe.widgets.panels.train import panel

    quick = {"epochs": 1, "members": 1, "components": 8, "rank": 4, "width": 16, "heads": 2}
    monkeypatch.setattr(panel, "EFFORTS", {"Usual": quick})
    monkeypatch.setattr(panel, "models_folder", lambda: tmp_path / "models")
