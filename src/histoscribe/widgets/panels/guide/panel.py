"""The first steps as a list that ticks itself: open, train, predict, paint, compare, draw, save."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import napari
from napari.components import ViewerModel
from napari.layers import Shapes
from napari.utils.notifications import show_info
from qtpy.QtWidgets import QLabel

from histoscribe.progress import Progress
from histoscribe.widgets.jobs.loading import load_libraries
from histoscribe.widgets.layers.colours import DIFFERENCE
from histoscribe.widgets.layers.layers import kind_of
from histoscribe.widgets.layers.painting import sections_in, spot_layers
from histoscribe.widgets.napari_private.probe import PLUGIN
from histoscribe.widgets.parts.dialogs import telling
from histoscribe.widgets.parts.fields import add_drawing_layer
from histoscribe.widgets.parts.models import SIMULATED
from histoscribe.widgets.parts.panel import Panel, Words, beside
from histoscribe.widgets.parts.shortcuts import SHORTCUTS
from histoscribe.widgets.state.preferences import models_folder, recent_models, remember_model
from histoscribe.widgets.state.state import open_panel, state_of

MODEL: dict[str, Any] = {"seed": 0, "members": 1, "epochs": 60}
_MODEL_NAME = "first-steps"


@dataclass(frozen=True)
class GuideStep:
    """One thing to do."""

    title: str
    words: str
    """`title` and `words`: what, and how."""
    button: str
    """What the button beside it says."""
    done: Callable[[ViewerModel], bool]
    """Whether it is done in a viewer."""


STEPS = (
    GuideStep(
        "Open a section",
        "Drop a Space Ranger folder, a slide or an h5ad into the window, or take the simulated section.",
        "Open the sample",
        lambda viewer: bool(spot_layers(viewer)),
    ),
    GuideStep(
        "Get a model",
        "Train a small one on the other simulated sections, of other patients; it takes one or two minutes.",
        "Train",
        lambda viewer: bool(recent_models()),
    ),
    GuideStep(
        "Predict",
        "Choose the section and the model, press Predict: a layer of predicted spots comes.",
        "Predict…",
        lambda viewer: any(kind_of(one) == "predicted" for one in sections_in(viewer)),
    ),
    GuideStep(
        "Choose a gene",
        "Type a few letters, press Enter. The number beside a gene says how far to trust its prediction.",
        "Genes…",
        lambda viewer: bool(state_of(viewer).gene),
    ),
    GuideStep(
        "Compare",
        "Measured, predicted and their difference side by side, and every gene's r.",
        "Compare…",
        lambda viewer: any(DIFFERENCE in layer.metadata for layer in viewer.layers),
    ),
    GuideStep(
        "Draw a region",
        "Click around some tissue; a double click ends the outline.",
        "Draw",
        lambda viewer: any(isinstance(layer, Shapes) and len(layer.data) for layer in viewer.layers),
    ),
    GuideStep(
        "Save it",
        "A picture for paper, a table, a report, or the session, which brings all of this back.",
        "Export…",
        lambda viewer: False,
    ),
)


class GuidePanel(Panel):
    """Leads through the first steps and ticks those that are done."""

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        openers = [partial(self._open, name) for name in ("Predict", "Genes", "Compare", "Export")]
        sample = partial(self.viewer.open_sample, PLUGIN, "section")
        actions: tuple[Callable[[], object], ...]
        actions = (sample, self.train, *openers[:3], self._draw, openers[3])
        self.ticks = [QLabel() for _ in STEPS]
        self.buttons = [
            self.button(step.button, step.words, action) for step, action in zip(STEPS, actions, strict=True)
        ]
        self.rule(self.buttons[1], enabled=lambda: self.free)
        for step, tick, button in zip(STEPS, self.ticks, self.buttons, strict=True):
            self.add(beside(tick, QLabel(f"<b>{step.title}</b>"), button, wide=1))
            self.add(Words(step.words))
        self.add(self.tasks)
        row = "<tr><td>{}&nbsp;&nbsp;</td><td>{}</td></tr>"
        keys = "".join(row.format(key, escape(what)) for key, (what, _) in SHORTCUTS.items())
        self.add(Words(f"<b>Keys, in the canvas</b><table>{keys}</table>"))
        self.hear(self.state.events.gene, self.refresh)
        self.finish()

    def refresh(self, *_: object) -> None:
        """Tick what is done now, and ask every rule again."""
        for tick, step in zip(self.ticks, STEPS, strict=True):
            tick.setText("✓" if step.done(self.viewer) else "○")
        super().refresh()

    def train(self, folder: Path | None = None) -> None:
        """Train a small model on the simulated sections of other patients than the one shown."""
        folder = folder or self._folder()
        self.launch(lambda: folder, _train, self._trained)

    @staticmethod
    def _folder() -> Path:
        return models_folder() / _MODEL_NAME

    def _trained(self, _: Path, folder: Path) -> None:
        remember_model(folder)
        show_info(f"The model is in {folder}; the Predict panel offers it.")

    def _open(self, name: str) -> None:
        """Open a panel; in Predict, the guide's own model is chosen, which nothing else chooses by itself."""
        with telling():
            panel: Any = open_panel(self.viewer, name)[1]
            if name == "Predict" and (self._folder() / "card.json").exists():
                panel.model.folder = self._folder()

    def _draw(self) -> None:
        self.hear(add_drawing_layer(self.viewer).events.data, self.refresh)


def _train(folder: Path, progress: Progress) -> Path:
    progress.report("reading the simulated sections")
    load_libraries(
        "torch", "histoscribe.predictor.training.learning", "histoscribe.predictor.training.fitting"
    )
    from histoscribe.predictor import Predictor
    from histoscribe.simulate.sample import sample_cohort

    cohort = sample_cohort()
    others = [one for one in cohort if one.patient != cohort[-1].patient]
    model = Predictor(**MODEL).fit(others, encoder="builtin", progress=progress)
    model.save(folder, tissue="simulated tissue", technology=SIMULATED)
    return folder
