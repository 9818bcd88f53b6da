"""The first steps as a list that ticks itself: open, train, predict, paint, compare, draw, save."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Shapes
from napari.utils.notifications import show_info
from qtpy.QtCore import QStandardPaths, Qt
from qtpy.QtWidgets import QFrame, QGridLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from histoscribe.widgets.jobs.loading import load_libraries
from histoscribe.widgets.jobs.tasks import TaskBar, tell
from histoscribe.widgets.layers.colours import DIFFERENCE
from histoscribe.widgets.layers.layers import UM, kind_of, section_of
from histoscribe.widgets.layers.painting import spot_layers
from histoscribe.widgets.napari_private.probe import PLUGIN
from histoscribe.widgets.napari_private.window import unwrapped
from histoscribe.widgets.parts.shortcuts import SHORTCUTS, install_shortcuts
from histoscribe.widgets.state.panels import open_panel
from histoscribe.widgets.state.preferences import preferences
from histoscribe.widgets.state.recent import recent_models, remember_model
from histoscribe.widgets.state.state import state_of

if TYPE_CHECKING:
    import napari
    from napari.components import ViewerModel

    from histoscribe.progress import Progress

MODEL: dict[str, Any] = {"seed": 0, "members": 1, "epochs": 60}
_MODEL_NAME = "first-steps"


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Parameters
    ----------
    title, words : str
        What, and how.
    button : str
        What the button beside it says.
    done : callable
        Whether it is done in a viewer.
    """

    title: str
    words: str
    button: str
    done: Callable[[ViewerModel], bool]


STEPS = (
    Step(
        "Open a section",
        "Drop a Space Ranger folder, a slide or an h5ad into the window, or take the simulated section.",
        "Open the sample",
        lambda viewer: bool(spot_layers(viewer)),
    ),
    Step(
        "Get a model",
        "Train a small one on the other simulated sections, of other patients; it takes one or two minutes.",
        "Train",
        lambda viewer: bool(recent_models()),
    ),
    Step(
        "Predict",
        "Choose the section and the model, press Predict: a layer of predicted spots comes.",
        "Predict…",
        lambda viewer: any(kind_of(section_of(layer)) == "predicted" for layer in spot_layers(viewer)),
    ),
    Step(
        "Choose a gene",
        "Type a few letters, press Enter. The number beside a gene says how far to trust its prediction.",
        "Genes…",
        lambda viewer: bool(state_of(viewer).gene),
    ),
    Step(
        "Compare",
        "Measured, predicted and their difference side by side, and every gene's r.",
        "Compare…",
        lambda viewer: any(DIFFERENCE in layer.metadata for layer in viewer.layers),
    ),
    Step(
        "Draw a region",
        "Click around some tissue; a double click ends the outline.",
        "Draw",
        lambda viewer: any(isinstance(layer, Shapes) and len(layer.data) for layer in viewer.layers),
    ),
    Step(
        "Save it",
        "A picture for paper, a table, a report, or the session, which brings all of this back.",
        "Export…",
        lambda viewer: False,
    ),
)


class GuidePanel(QWidget):
    """Leads through the first steps and ticks those that are done.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Given by napari.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = unwrapped(napari_viewer)
        self.ticks = [QLabel() for _ in STEPS]
        self.buttons = [QPushButton(step.button) for step in STEPS]
        self.tasks = TaskBar()
        self._arrange()
        actions = (self._open_sample, self.train, *map(self._opener, ("Predict", "Genes", "Compare")))
        for button, action in zip(self.buttons, (*actions, self._draw, self._opener("Export")), strict=True):
            button.clicked.connect(lambda _=False, act=action: act())
        self.tasks.running_changed.connect(self.refresh)
        state_of(self._viewer).events.gene.connect(self.refresh)
        install_shortcuts(self._viewer)
        self.refresh()

    def reset_choices(self, event: object = None) -> None:
        """Tick what is done now; napari calls it when the layer list changes."""
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Tick what is done now."""
        for tick, step in zip(self.ticks, STEPS, strict=True):
            tick.setText("✓" if step.done(self._viewer) else "○")
        self.buttons[1].setEnabled(not self.tasks.running)

    def train(self, folder: Path | None = None) -> None:
        """Train a small model on the simulated sections of other patients than the one shown."""
        folder = folder or (preferences().model_folder or _own_folder()) / _MODEL_NAME
        self.tasks.run(partial(_train, folder), self._trained)

    def _trained(self, folder: Path) -> None:
        remember_model(folder)
        show_info(f"The model is in {folder}; the Predict panel offers it.")

    def _open_sample(self) -> None:
        self._viewer.open_sample(PLUGIN, "section")

    def _opener(self, name: str) -> Callable[[], None]:
        def show_panel() -> None:
            try:
                open_panel(self._viewer, name, tabify=True)
            except Exception as error:
                tell(error)

        return show_panel

    def _draw(self) -> None:
        layer = Shapes(ndim=2, name="region", units=(UM, UM), face_color="transparent")
        layer.current_edge_color, layer.current_edge_width = "#ffb000", 8
        layer.events.data.connect(self.refresh)
        self._viewer.add_layer(layer)
        layer.mode = "add_polygon"

    def _arrange(self) -> None:
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        for row, (step, tick, button) in enumerate(zip(STEPS, self.ticks, self.buttons, strict=True)):
            words = QLabel(step.words)
            words.setWordWrap(True)
            words.setAlignment(Qt.AlignmentFlag.AlignTop)
            words.setMinimumHeight(3 * words.fontMetrics().lineSpacing())
            grid.addWidget(tick, 2 * row, 0)
            grid.addWidget(QLabel(f"<b>{step.title}</b>"), 2 * row, 1)
            grid.addWidget(button, 2 * row, 2)
            grid.addWidget(words, 2 * row + 1, 1, 1, 2)
        described = {key: what.replace("&", "&amp;") for key, (what, _) in SHORTCUTS.items()}
        rows = "".join(
            f"<tr><td>{key}&nbsp;&nbsp;</td><td>{what}</td></tr>" for key, what in described.items()
        )
        content, area = QWidget(), QScrollArea()
        inner = QVBoxLayout(content)
        inner.addLayout(grid)
        inner.addWidget(self.tasks)
        keys = QLabel(f"<b>Keys, in the canvas</b><table>{rows}</table>")
        keys.setWordWrap(True)
        inner.addWidget(keys)
        inner.addStretch(1)
        area.setWidget(content)
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFrameShape(QFrame.Shape.NoFrame)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)


def _train(folder: Path, progress: Progress) -> Path:
    progress.report("reading the simulated sections")
    load_libraries("histoscribe.predictor.training.learning", "histoscribe.predictor.training.fitting")
    from histoscribe.predictor import Predictor
    from histoscribe.simulate.sample import sample_cohort

    cohort = sample_cohort()
    others = [one for one in cohort if one.patient != cohort[-1].patient]
    Predictor(**MODEL).fit(others, progress=progress).save(folder)
    return folder


def _own_folder() -> Path:
    place = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
    return Path(place) / "histoscribe" / "models"
