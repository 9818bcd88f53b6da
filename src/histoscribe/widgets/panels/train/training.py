"""Learning a predictor as the viewer asks for it: a plain call, a model's folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from histoscribe.models import Card
from histoscribe.progress import Progress, Step
from histoscribe.section import read_cohort
from histoscribe.widgets.jobs.loading import load_libraries
from histoscribe.widgets.layers.making import Training

_FEWEST = 3
_NEEDED = (
    "torch",
    "numba",
    "histoscribe.predictor.training.learning",
    "histoscribe.predictor.training.fitting",
    "histoscribe.features.builtin.encoder",
)


def kept_state(folder: Path) -> Path:
    """Where the state of a training lies until the model is in `folder`; the shell keeps it there too."""
    return folder.with_name(f"{folder.name}.training")


def held_out_words(patients: int, sections: int, unknown: int) -> str:
    """What the scores will be of, from how many patients and sections there are; `unknown` say no patient."""
    if patients >= _FEWEST and unknown:
        return (
            f"Scores: {unknown} of {sections} sections say no patient and count as one each. Double-click a "
            "patient to state it: where two are of one patient, expect less of a new one than the scores say."
        )
    if patients >= _FEWEST:
        return f"Scores: each of {patients} patients is held out in turn, as a new patient would be."
    if sections > 1:
        return (
            "Scores: each section is held out in turn, for there are fewer than three patients. "
            "Other tissue of its patient may be in training: expect less of a new patient."
        )
    return "Scores: halves of the one section are held out in turn. They say nothing about other tissue."


def train(heard: Callable[[str], object], training: Training, progress: Progress) -> Card:
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

    sections = [replace(one, patient=patient) for one, patient in training.sections.items()]
    if training.cohort is not None:
        sections = read_cohort(training.cohort, inner)
    model = Predictor(**training.settings)
    model.fit(sections, checkpoint=kept_state(training.folder), progress=inner)
    progress.report("writing the model")
    card = model.save(training.folder, **training.card)
    shutil.rmtree(kept_state(training.folder), ignore_errors=True)
    return card
