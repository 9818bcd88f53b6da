"""Learning a predictor as the viewer asks for it: a frozen request, a plain call, a model's folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from histoscribe.errors import SectionError, SettingError
from histoscribe.progress import Progress, Step
from histoscribe.widgets.jobs.loading import load_libraries
from histoscribe.widgets.state.preferences import preferences

if TYPE_CHECKING:
    from histoscribe.models import Card
    from histoscribe.section import Section

EFFORTS: Mapping[str, dict[str, int]] = {
    "Usual": {},
    "Quick, to try it out": {"epochs": 10, "members": 1},
}
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


def check(request: TrainRequest) -> None:
    """Refuse what cannot work before anything is loaded: `HistoscribeError` with the remedy."""
    if request.cohort is None and not request.sections:
        raise SettingError(
            "there is nothing to learn from",
            remedy="mark measured sections in the list, or name a cohort CSV",
        )
    if request.cohort is not None and not request.cohort.is_file():
        raise SettingError("there is no such cohort CSV", where=request.cohort, remedy="choose another file")
    if request.folder.exists() and not (request.folder / "card.json").exists():
        raise SettingError("something else lies here", where=request.folder, remedy="give another name")
    for section in request.sections:
        if section.slide is None:
            raise SectionError(
                "this section has no slide to learn from",
                where=section.name,
                remedy="open it together with its H&E image, or leave it out",
            )


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
    """Learn and save the model; runs on any thread.

    Parameters
    ----------
    heard : callable
        Receives a sentence for everything held out, as soon as it has been predicted.
    request : TrainRequest
    progress : Progress

    Returns
    -------
    Card
        As written; `HistoscribeError` if the sections do not go together or nothing can be written.
    """
    check(request)

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
        from histoscribe.section import read_cohort

        sections = read_cohort(request.cohort, inner)
    settings: dict[str, Any] = dict(EFFORTS[request.effort])
    model = Predictor(panel_size=request.genes, device=preferences().device, **settings)
    model.fit(sections, progress=inner)
    return model.save(request.folder, tissue=request.tissue, technology=request.technology)
