"""From encoded sections to a fitted predictor and its card: panel, inner validation, training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from histoscribe.errors import SectionError, SettingError
from histoscribe.features.device import resolve_device
from histoscribe.models import Card, TrainingSection
from histoscribe.models.reproducible import one_thread
from histoscribe.predictor.core import Fitted
from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.retrieval.evidence import MOST, Crops, pack_crops
from histoscribe.predictor.settings import KIND, PredictorSettings
from histoscribe.predictor.state import to_settings
from histoscribe.predictor.target import TARGETS, choose_panel
from histoscribe.predictor.training.fitting import fit_core
from histoscribe.predictor.training.inner import Inner, choose_inputs, validate
from histoscribe.predictor.variants.variant import variant_named
from histoscribe.progress import Progress

if TYPE_CHECKING:
    from histoscribe.features import TileEncoder


def learn(
    sections: Sequence[EncodedSection],
    settings: PredictorSettings,
    *,
    seed: int,
    device: str,
    panel: Sequence[str] | None,
    licence: str,
    encoder: TileEncoder | None,
    progress: Progress,
) -> tuple[Fitted, Card]:
    """Learn a predictor; see `Predictor.fit_encoded`."""
    check_sections(sections)
    chosen = resolve_device(device)
    genes = list(panel or choose_panel(sections, settings.panel_size))
    settings = choose_inputs(sections, genes, settings)
    settings, type_names = _with_types(settings, sections)
    with one_thread():
        fixed = variant_named(settings.variant).blend
        if fixed is not None:
            inner = Inner(fixed, {}, "nothing")
        else:
            inner = validate(sections, genes, settings, seed=seed, device=chosen, progress=progress)
        fitted = fit_core(
            sections,
            genes,
            settings,
            seed=seed,
            members=settings.members,
            device=chosen,
            progress=progress,
        )
    fitted = replace(fitted, blend=inner.blend, intervals=inner.intervals, crops=_crops(sections))
    gallery = {
        "section": [section.name for section in sections for _ in section.spots],
        "spot": [spot for section in sections for spot in section.spots],
    }
    card = Card(
        kind=KIND,
        variant=settings.variant,
        genes=tuple(genes),
        target=TARGETS[settings.target],
        panel_rule=f"{len(genes)} genes that were named beforehand"
        if panel
        else f"{len(genes)} most variable genes of the training sections (variance of the target)",
        training=tuple(TrainingSection(section.name, section.patient) for section in sections),
        licence=licence,
        seed=seed,
        mpp=None if encoder is None else float(encoder.mpp),
        crop_um=None if encoder is None else float(encoder.crop_um),
        encoder="" if encoder is None else encoder.name,
        held_out=inner.held_out,
        settings={
            **to_settings(fitted),
            "inner_split": inner.split,
            "gallery": gallery,
            "type_names": type_names,
        },
    )
    return fitted, card


def check_sections(sections: Sequence[EncodedSection]) -> None:
    """Refuse what cannot be learned from.

    Raises
    ------
    SettingError
        If there is no section.
    SectionError
        If names repeat or the descriptors are of different encoders.
    """
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
