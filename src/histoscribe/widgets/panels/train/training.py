"""Learning a predictor as the viewer asks for it: a frozen request, a plain call, a model's folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from histoscribe.models import Card
from histoscribe.progress import Progress, Step
from histoscribe.section import Section, read_cohort
from histoscribe.widgets.jobs.loading import load_libraries
from histoscribe.widgets.state.preferences import preferences

EFFORTS: Mapping[str, dict[str, Any]] = {"Usual": {}, "Quick, to try it out": {"epochs": 10, "members": 1}}
"""How long is trained, in words, and the settings that it stands for."""

_FEWEST = 3
_NEEDED = (
    "torch",
    "numba",
    "histoscribe.predictor.training.learning",
    "histoscribe.predictor.training.fitting",
    "histoscribe.features.builtin.encoder",
)


@dataclass(frozen=True, eq=False)
class TrainRequest:
    """What to learn from, and where the model goes."""

    sections: tuple[Section, ...]
    """Measured, on their slides, with their patients; empty where a cohort is read."""
    cohort: Path | None
    """A CSV that names the sections."""
    folder: Path
    """Of the model."""
    tissue: str
    technology: str
    """Both go on the card, in the user's words."""
    genes: int
    """How many: the most variable ones."""
    effort: str
    """One of `EFFORTS`."""


def kept_state(folder: Path) -> Path:
    """Where the state of a training lies until the model is in `folder`; the shell keeps it there too."""
    return folder.with_name(f"{folder.name}.training")


def held_out_words(patients: int, sections: int) -> str:
    """What the scores will be of, from how many patients and sections there are."""
    if patients >= _FEWEST:
        return f"Scores: each of {patients} patients is held out in turn, as a new patient would be."
    if sections > 1:
        return (
            "Scores: each section is held out in turn, for there are fewer than three patients. "
            "Other tissue of its patient may be in training: expect less of a new patient."
        )
    return "Scores: halves of the one section are held out in turn. They say nothing about other tissue."


def train(heard: Callable[[str], object], request: TrainRequest, progress: Progress) -> Card:
    """Learn and save the model, and give its card as written; runs on any thread.

    One that is stopped goes on where it was, to the same digits, when the same is asked for again. `heard`
    receives a sentence for everything held out, as soon as it has been predicted. `HistoscribeError` where
    the sections do not go together or nothing can be written.
    """

    def follow(step: Step) -> None:
        if step.message.startswith("held out"):
            heard(step.message)
        progress.report(step.message, step.done, step.total)

    inner = Progress(follow)
    progress.report("loading libraries")
    load_libraries(*_NEEDED)
    from histoscribe.predictor import Predictor

    sections = list(request.sections)
    if request.cohort is not None:
        sections = read_cohort(request.cohort, inner)
    model = Predictor(panel_size=request.genes, device=preferences().device, **EFFORTS[request.effort])
    model.fit(sections, checkpoint=kept_state(request.folder), progress=inner)
    progress.report("writing the model")
    card = model.save(request.folder, tissue=request.tissue, technology=request.technology)
    shutil.rmtree(kept_state(request.folder), ignore_errors=True)
    return card
