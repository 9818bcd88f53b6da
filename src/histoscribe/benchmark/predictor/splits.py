"""Who learns and who is tested: folds by section or by patient, and what they refuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from histoscribe.errors import SettingError, require_known

if TYPE_CHECKING:
    from histoscribe.predictor.encoded import EncodedSection
    from histoscribe.section import Section

Split = Literal["section", "patient"]


@dataclass(frozen=True)
class Fold:
    """One division of a cohort."""

    name: str
    """The section or the patient that is held out."""
    train: tuple[int, ...]
    test: tuple[int, ...]
    """`train` and `test`: places in the cohort."""


def make_folds(
    sections: Sequence[EncodedSection] | Sequence[Section],
    split: Split,
    *,
    only: Sequence[str] | None = None,
    chosen_on: Sequence[str] = (),
) -> list[Fold]:
    """Hold out every section, or every patient, once; or only those of these names.

    By section, the other sections of the same patient stay in training: say so beside the number.
    By patient, none of a held-out patient's sections does. Raises `SettingError` if `split` is neither, the
    cohort has only one section (or patient), no fold has such a name, or one tests on a section that the gene
    panel was chosen with (`chosen_on`).
    """
    require_known("split", [split], get_args(Split), where="--split")
    keys = [section.name if split == "section" else section.patient for section in sections]
    names = list(dict.fromkeys(keys))
    if len(names) < 2:
        problem = f"a split by {split} needs at least two, and the cohort has {len(names)}"
        remedy = "add sections of another patient, or split by section"
        raise SettingError(problem, where="--split", remedy=remedy)
    places = {name: tuple(place for place, key in enumerate(keys) if key == name) for name in names}
    every = range(len(keys))
    folds = [Fold(name, tuple(p for p in every if p not in own), own) for name, own in places.items()]
    for fold in folds:
        refuse_leak(fold, sections, split)
    require_known("fold", only or (), names, where="--folds")
    kept = [fold for fold in folds if only is None or fold.name in only]
    for fold in kept:
        refuse_seen_panel(chosen_on, fold, sections)
    return kept


def refuse_leak(fold: Fold, sections: Sequence[EncodedSection] | Sequence[Section], split: Split) -> None:
    """Raise `SettingError` if a section, or by patient a patient, stands on both sides of a fold."""
    train = [sections[place] for place in fold.train]
    test = [sections[place] for place in fold.test]
    shared = {section.name for section in train} & {section.name for section in test}
    if split == "patient":
        shared |= {section.patient for section in train} & {section.patient for section in test}
    if shared:
        problem = f"{', '.join(sorted(shared))} stands in training and in test"
        remedy = "give every section a name and a patient of its own in the cohort"
        raise SettingError(problem, where=f"fold {fold.name}", remedy=remedy)


def refuse_seen_panel(
    chosen_on: Sequence[str], fold: Fold, sections: Sequence[EncodedSection] | Sequence[Section]
) -> None:
    """Raise `SettingError` if a gene panel was chosen with a section that a fold tests on."""
    seen = sorted({sections[place].name for place in fold.test} & set(chosen_on))
    if seen:
        problem = f"the gene panel was chosen with {', '.join(seen)}, which this fold tests on"
        remedy = "choose the panel on the training sections of each fold"
        raise SettingError(problem, where=f"fold {fold.name}", remedy=remedy)
