"""From encoded sections to a fitted predictor and its card: panel, inner validation, training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from histoscribe.errors import SectionError, SettingError
from histoscribe.models import Card, TrainingSection
from histoscribe.models.reproducible import one_thread
from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.model import FittedPredictor
from histoscribe.predictor.retrieval.evidence import MOST, Crops, pack_crops
from histoscribe.predictor.settings import KIND, PredictorSettings
from histoscribe.predictor.storage import to_settings
from histoscribe.predictor.target import TARGETS, choose_panel
from histoscribe.predictor.training.fitting import FitOptions, fit_parts
from histoscribe.predictor.training.validation import choose_inputs, validate


def learn(
    sections: Sequence[EncodedSection], options: FitOptions, licence: str
) -> tuple[FittedPredictor, Card]:
    """Learn a predictor, and say on its card what it learned from.

    The panel that inner validation predicts was chosen on all training sections; only the test section of
    whoever validates this predictor must not have been seen.

    Raises
    ------
    SettingError
        If there is no section.
    SectionError
        If names repeat, the descriptors are of different encoders, or spot types are wanted and lacking.
    TableError
        If counts are not counts, or the sections have no gene in common.
    """
    _check(sections)
    given = bool(options.panel)
    panel = options.panel or tuple(choose_panel(sections, options.settings.panel_size))
    settings, type_names = _with_types(choose_inputs(sections, panel, options.settings), sections)
    options = replace(options, panel=panel, settings=settings)
    with one_thread():
        inner = validate(sections, options)
        fitted = fit_parts(sections, options, members=settings.members)
    fitted = replace(fitted, weights=inner.weights, intervals=inner.intervals, crops=_crops(sections))
    rule = "most variable genes of the training sections (variance of the target)"
    card = Card(
        kind=KIND,
        variant=settings.variant,
        genes=panel,
        target=TARGETS[settings.target],
        panel_rule=f"{len(panel)} {'genes that were named beforehand' if given else rule}",
        training=tuple(TrainingSection(section.name, section.patient) for section in sections),
        licence=licence,
        seed=options.seed,
        held_out=inner.held_out,
        settings={
            **to_settings(fitted),
            "inner_split": inner.split,
            "gallery": {
                "section": [section.name for section in sections for _ in section.spots],
                "spot": [spot for section in sections for spot in section.spots],
            },
            "type_names": type_names,
        },
    )
    return fitted, card


def _check(sections: Sequence[EncodedSection]) -> None:
    if not sections:
        raise SettingError("there is no section to learn from", remedy="give at least one measured section")
    names = [section.name for section in sections]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise SectionError("two sections have the same name", where=repeated, remedy="rename one")
    if len({section.features.shape[1] for section in sections}) > 1:
        raise SectionError(
            "the sections were described by different encoders",
            where=", ".join(names),
            remedy="describe all with the same one",
        )


def _with_types(
    settings: PredictorSettings, sections: Sequence[EncodedSection]
) -> tuple[PredictorSettings, list[str]]:
    """How many spot types there are, and what they are called."""
    if settings.type_source == "clusters":
        return settings, [f"image cluster {number + 1}" for number in range(settings.types)]
    lacking = [section.name for section in sections if section.types is None]
    if lacking or len({section.type_names for section in sections}) > 1:
        raise SectionError(
            "spot types are wanted, but these sections have none or name them differently",
            where=", ".join(lacking or [section.name for section in sections]),
            remedy="give every section's types, or let them be clusters of the images",
        )
    names = sections[0].type_names
    return replace(settings, types=max(len(names), 2)), list(names)


def _crops(sections: Sequence[EncodedSection]) -> Crops | None:
    if any(section.crops is None for section in sections):
        return None
    if sum(len(section.spots) for section in sections) > MOST:
        return None
    return pack_crops(np.concatenate([section.crops for section in sections if section.crops is not None]))
