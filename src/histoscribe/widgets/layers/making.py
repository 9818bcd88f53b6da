"""What was learned and made of what here, by which model and settings, and what was written where."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from weakref import WeakKeyDictionary

from napari.components import ViewerModel

from histoscribe.arrays import Wide
from histoscribe.bulk import BulkTable
from histoscribe.record import amend_record
from histoscribe.section import Section
from histoscribe.slide import Slide
from histoscribe.tiles import Region
from histoscribe.widgets.layers.layers import path_of, section_of

Source = Section | Slide | BulkTable

Verb = Literal["predict", "compare", "impute", "generate", "align", "differ", "neighbour", "moran"]


@dataclass(frozen=True, eq=False)
class Recipe:
    """How one thing was made."""

    verb: Verb
    inputs: Mapping[str, Source]
    """By role: `target`, `measured`, `predicted`, `source`, `teacher`, `primary`, `normal`, `fixed`."""
    models: Mapping[str, Path] = field(default_factory=dict)
    """Folders by role: `model`, `imputer`."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Options of the verb in the shell, without dashes; those that are None are left out."""
    regions: Mapping[str, Sequence[Wide]] = field(default_factory=dict)
    """By option: outlines as (row, column) in full-resolution pixels, each of shape (corners, 2)."""
    classes: Sequence[Region] = ()
    """Regions whose classes are told apart."""


@dataclass(frozen=True, eq=False)
class Written:
    """A file that was written."""

    path: Path
    of: Any
    """The section, or what a step made; None for what only a window can write."""
    genes: tuple[str, ...] | None = None
    """Those of a CSV; None for all."""
    clusters: Mapping[str, float] = field(default_factory=dict)
    """What `CLUSTERED` held of it then."""


@dataclass(frozen=True, eq=False)
class Training:
    """How a predictor is learned."""

    folder: Path
    """Of the model."""
    sections: Mapping[Section, str]
    """Measured, on their slides, and whose tissue each is; empty where a cohort is read."""
    cohort: Path | None
    """A CSV that names the sections."""
    settings: Mapping[str, Any]
    """Of the `Predictor`."""
    card: Mapping[str, str]
    """`tissue` and `technology`, in the user's words."""


MADE: WeakKeyDictionary[Any, Recipe] = WeakKeyDictionary()
"""The step that made a section, or what a panel holds of a result."""
CLUSTERED: WeakKeyDictionary[Any, dict[str, float]] = WeakKeyDictionary()
"""Columns of clusters that were found here of a section, with their resolution."""
OPENED: WeakKeyDictionary[Any, Path] = WeakKeyDictionary()
"""The files of tables that have no layer."""
_written: WeakKeyDictionary[ViewerModel, list[Written]] = WeakKeyDictionary()
_trained: WeakKeyDictionary[ViewerModel, dict[Path, tuple[Training, int]]] = WeakKeyDictionary()


def made(viewer: ViewerModel, result: Any, step: Recipe, *more: Any) -> None:
    """Remember how a result was made; its table's record says it as a command of the shell."""
    for one in (result, *more):
        MADE[one] = step
    if hasattr(result, "table"):
        words = commands(step, lambda one: [str(place_of(viewer, one) or one.name)], lambda name: name)
        amend_record(result.table, command=" && ".join(map(shlex.join, words)))


def written(viewer: ViewerModel, path: Path, of: Any = None, genes: Sequence[str] | None = None) -> None:
    """Remember what was written."""
    clusters = {} if of is None else dict(CLUSTERED.get(of, {}))
    one = Written(path, of, None if genes is None else tuple(genes), clusters)
    _written.setdefault(viewer, []).append(one)


def written_in(viewer: ViewerModel) -> list[Written]:
    """What was written from a viewer, in that order; of one path the last."""
    return list({one.path: one for one in _written.get(viewer, ())}.values())


def trained(viewer: ViewerModel, training: Training) -> None:
    """Remember what was learned; closed sections are not held for it."""
    held = replace(training, sections=WeakKeyDictionary(training.sections))
    _trained.setdefault(viewer, {})[training.folder] = held, len(training.sections)


def trained_in(viewer: ViewerModel) -> list[Training]:
    """What was learned in a viewer from sections that are all still there."""
    return [one for one, count in _trained.get(viewer, {}).values() if len(one.sections) == count]


def place_of(viewer: ViewerModel, source: Source) -> Path | None:
    """Where a section, slide or table was opened from; None for what was made here, or is no longer there."""
    if source in MADE:
        return None
    layer = next((one for one in viewer.layers if section_of(one) is source), None)
    found: Path | None = getattr(source, "path", None) or OPENED.get(source)
    if layer is not None:
        found = Path(path_of(layer)) if path_of(layer) else None
    return found if found is not None and found.exists() else None


def commands(
    step: Recipe, named: Callable[[Any], list[str]], file: Callable[[str], str], out: str = ""
) -> list[list[str]]:
    """The words of the shell that do a step again, one command a list.

    `named` gives the words for an input (a path, `--section` of a cohort), `file` where a file of this name
    lies (an outline's, a model's or a table's between two commands), `out` is what is written.
    """
    words = {role: named(one) for role, one in step.inputs.items()}
    settings = [(name, str(value)) for name, value in step.settings.items() if value is not None]
    settings += [(name, file(f"{name}.geojson")) for name in step.regions]
    settings += [("out", out)] if out else []
    options = [part for name, value in settings for part in (f"--{name}", value)]
    models = {role: str(folder) for role, folder in step.models.items()}
    before, start = [], ["histoscribe", step.verb]
    if step.verb == "align":
        return [[*start, *words["source"], *words["fixed"], *options]]
    if step.verb == "predict":
        return [[*start, models["model"], *words["target"], *options]]
    if step.verb == "compare":
        return [[*start, *words["measured"], *words["predicted"], *options]]
    if step.verb == "impute":
        learned = [*words["teacher"], "--steps", "0"] if "teacher" in words else []
        if "tuned" in models:
            learned = [*words["source"], "--from", models["tuned"]]
        if learned:
            models["model"] = file("model")
            before.append(["histoscribe", "train", "imputer", *learned, "--out", models["model"]])
        return [*before, [*start, *words["source"], "--model", models["model"], *options]]
    for role in words if "imputer" in models else ():
        full = file(f"{role}.h5ad")
        before.append(["histoscribe", "impute", *words[role], "--model", models["imputer"], "--out", full])
        words[role] = [full]
    parents = [part for role, source in words.items() for part in (f"--{role}", *source)]
    return [*before, [*start, *parents, "--model", models["model"], *options]]
