"""From encoded sections to a fitted predictor and its card: panel, inner validation, training."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from histoscribe.arrays import Floats, Wide
from histoscribe.errors import SectionError, SettingError
from histoscribe.features import TileEncoder
from histoscribe.features.device import one_thread
from histoscribe.models import Card, TrainingSection
from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.ensemble import (
    EnsembleWeights,
    PartialPredictions,
    choose_weights,
    gene_correlation,
)
from histoscribe.predictor.inputs import InputSpace, Unit
from histoscribe.predictor.intervals import HeldOutTissue, Intervals, conformal
from histoscribe.predictor.linear import expression_components, weighted_ridge
from histoscribe.predictor.model import FittedPredictor
from histoscribe.predictor.retrieval.evidence import MOST, pack_crops
from histoscribe.predictor.settings import KIND, PredictorSettings
from histoscribe.predictor.smoothness import choose_smoothness
from histoscribe.predictor.storage import to_settings
from histoscribe.predictor.target import TARGETS, choose_panel, joined, panel_expression, spot_weights
from histoscribe.predictor.training.fitting import FitOptions, fit_parts, gallery_spots, standardise
from histoscribe.predictor.training.views import EncoderView, parts_and_whole, seeing_all
from histoscribe.predictor.variants.variant import variant_named

REACHES: tuple[tuple[float, ...], ...] = ((), (1.5, 3.0), (1.5, 3.0, 6.0))
_MEASURES: tuple[tuple[Unit, ...], ...] = (("section",), ("section", "training"))
_MAX_FOLDS = 5
_MIN_SPOTS = 8
_MOST_SHOWN, _LEAST_WINDOW = 8_000, 500
HALVES = "half of the section"


@one_thread()
def learn(
    sections: Sequence[EncodedSection], options: FitOptions, licence: str
) -> tuple[FittedPredictor, Card]:
    """Learn a predictor, and say on its card what it learned from.

    The panel that inner validation predicts was chosen on all training sections; only the test section
    of whoever validates this predictor must not have been seen. Raises `SettingError` if there is no
    section; `SectionError` if names repeat, the descriptors are of different encoders, or spot types are
    wanted and lacking; `TableError` if counts are not counts, or the sections have no gene in common.
    """
    _check(sections)
    given = bool(options.panel)
    doubts = joined(sections, 0 if given else options.settings.panel_size)
    panel = options.panel or tuple(choose_panel(sections, options.settings.panel_size))
    shown = bounded_share(sections, options.seed)
    views = choose_views(shown, panel, options.settings)
    settings, type_names = _with_types(seeing_all(options.settings, views), sections)
    options = replace(options, panel=panel, settings=settings, views=views)
    inner = validate(shown, options)
    fitted = fit_parts(sections, options, members=settings.members)
    every = [(section.name, spot) for section in sections for spot in section.spots]
    kept = gallery_spots(len(every), settings.gallery_spots, options.seed)
    pictures = [section.crops for section in sections if section.crops is not None]
    few = len(pictures) == len(sections) and len(kept) <= MOST
    crops = pack_crops(np.concatenate(pictures)[kept]) if few else None
    fitted = replace(fitted, weights=inner.weights, intervals=inner.intervals, crops=crops)
    gallery = {name: [every[number][at] for number in kept] for at, name in enumerate(("section", "spot"))}
    about = to_settings(fitted) | {"inner_split": inner.split, "gallery": gallery, "type_names": type_names}
    about |= _told_of(sections) | ({"doubts": doubts} if doubts else {})
    rule = "most variable genes of the training sections (variance of the target)"
    rule = f"{len(panel)} {'genes that were named beforehand' if given else rule}"
    training = tuple(TrainingSection(section.name, section.patient) for section in sections)
    facts = (KIND, settings.variant, panel, TARGETS[settings.target], rule, training)
    return fitted, Card(*facts, licence, options.seed, held_out=inner.held_out, settings=about)


def _told_of(sections: Sequence[EncodedSection]) -> dict[str, float]:
    """What verdicts compare a slide with: how fine the coarsest image is, and how many counts a spot has."""
    depths = np.concatenate([section.depth for section in sections])
    fineness = [section.fineness_um for section in sections if section.fineness_um is not None]
    known = {"fineness_um": round(max(fineness), 3)} if len(fineness) == len(sections) else {}
    return {"depth": float(np.median(depths)), **known}


def _check(sections: Sequence[EncodedSection]) -> None:
    if not sections:
        raise SettingError("there is no section to learn from", remedy="give at least one measured section")
    names = [section.name for section in sections]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise SectionError("two sections have the same name", where=repeated, remedy="rename one")
    if len({section.features.shape[1] for section in sections}) > 1:
        problem = "the sections were described by different encoders"
        raise SectionError(problem, where=", ".join(names), remedy="describe all with the same one")


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


@dataclass(frozen=True, eq=False)
class InnerValidation:
    """What inner validation found."""

    weights: EnsembleWeights
    held_out: dict[str, dict[str, Any]]
    """Per gene `r`, and `low`, `high`: a 95 % interval that grows where the held-out sections differ; and the
    same over held-out sections of known and of new patients (`same`, `new`), None where there were none."""
    split: str
    """What was held out: `patient`, `section`, `half of the section` or `nothing`."""
    intervals: Intervals | None = None
    """Conformal bounds from the residuals on what was held out."""


def bounded_share(sections: Sequence[EncodedSection], seed: int) -> list[EncodedSection]:
    """The sections, or windows of some of them: enough to choose by, with time that does not grow.

    Of patients in turn, whose sections come in a random order; a window holds the spots nearest to one.
    """
    if sum(len(section.spots) for section in sections) <= _MOST_SHOWN:
        return list(sections)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(sections))
    turn: Counter[str] = Counter()
    turns = []
    for number in order:
        turns.append(turn[sections[number].patient])
        turn[sections[number].patient] += 1
    window, room, shown = max(_MOST_SHOWN // len(sections), _LEAST_WINDOW), _MOST_SHOWN, {}
    for number in order[np.argsort(turns, kind="stable")]:
        section = sections[number]
        if room < _MIN_SPOTS:
            break
        if len(section.spots) > min(window, room):
            away = np.linalg.norm(section.centres_um - rng.choice(section.centres_um), axis=1)
            near = np.sort(np.argsort(away, kind="stable")[: min(window, room)])
            section = section.part(near, section.name)
        shown[number] = section
        room -= len(section.spots)
    return [shown[number] for number in sorted(shown)]


Fold = tuple[list[EncodedSection], list[EncodedSection]]


def inner_folds(sections: Sequence[EncodedSection]) -> tuple[list[Fold], str]:
    """(training, held-out) pairs and what is held out.

    By patient where there are at least three, else by section; a single section is halved twice, across
    each of its sides, and each half predicts the other: one cut alone may follow the tissue's layers.
    """
    patients = list(dict.fromkeys(section.patient for section in sections))
    if len(patients) >= 3:
        groups, split = [[s for s in sections if s.patient == patient] for patient in patients], "patient"
    elif len(sections) >= 2:
        groups, split = [[section] for section in sections], "section"
    else:
        upper, lower, left, right = ([half] for half in _halves(sections[0]))
        return [(lower, upper), (upper, lower), (right, left), (left, right)], HALVES
    if len(groups) > _MAX_FOLDS:
        groups = [[s for group in groups[first::_MAX_FOLDS] for s in group] for first in range(_MAX_FOLDS)]
    return [([s for group in groups if group is not held for s in group], held) for held in groups], split


def choose_inputs(
    sections: Sequence[EncodedSection], panel: Sequence[str], settings: PredictorSettings
) -> PredictorSettings:
    """The settings with what the image is seen by: reach of the context, and units.

    Whatever is not set is chosen: the ridge expert predicts inner folds best from it. Halves of one section
    share their staining, so that only several sections can tell whether units of training help.
    """
    choices = _inputs(sections, settings)
    reached = _reached(sections, panel, choices) if len(choices) > 1 else np.zeros(1)
    return choices[int(np.argmax(reached))]


def choose_views(
    sections: Sequence[EncodedSection], panel: Sequence[str], settings: PredictorSettings
) -> tuple[EncoderView, ...]:
    """What the networks see in turn: each part of a joined encoder and all, with the inputs that suit it."""
    views = []
    for descriptors in parts_and_whole(sections[0].parts if settings.components else ()):
        own = choose_inputs([section.seen_by(descriptors) for section in sections], panel, settings)
        views.append(EncoderView(descriptors, own.reaches, own.measures))
    return tuple(views)


@one_thread()
def choose_encoder(
    sections: Sequence[EncodedSection], panel: Sequence[str], settings: PredictorSettings, device: str
) -> tuple[TileEncoder, list[EncodedSection]]:
    """Built-in, texture or both: the encoder that predicts inner folds best, and the sections by it.

    It is asked as `choose_inputs` asks, each at the inputs that suit it best.

    `panel`: empty where the most variable genes are to be predicted; `device`: of the encoder that is chosen.
    """
    from histoscribe.features import encoder_named

    _check(sections)
    panel = panel or choose_panel(sections, settings.panel_size)
    encoders = [encoder_named(name, device=device) for name in ("builtin", "texture", "both")]
    parts = parts_and_whole([encoder.dimension for encoder in encoders[:2]])
    described = [[section.seen_by(part) for section in sections] for part in parts]
    choices = _inputs(sections, settings)
    best = int(np.argmax([_reached(found, panel, choices).max() for found in described]))
    return encoders[best], list(sections) if best == 2 else described[best]


def _inputs(sections: Sequence[EncodedSection], settings: PredictorSettings) -> list[PredictorSettings]:
    """The settings with each reach and units that may be chosen."""
    reaches = REACHES if settings.radii is None else (settings.radii,)
    kinds = _MEASURES if len(sections) > 1 else _MEASURES[:1]
    return [
        replace(settings, radii=radii, units=units)
        for radii, units in product(reaches, kinds if settings.units is None else (settings.units,))
    ]


def _reached(
    sections: Sequence[EncodedSection], panel: Sequence[str], choices: Sequence[PredictorSettings]
) -> Wide:
    """Mean r of the ridge expert over genes and what inner folds hold out, shape (choices,)."""
    told = [
        [gene_correlation(answer, truth).mean() for answer in answers]
        for answers, truth, _ in ridge_folds(sections, panel, choices)
    ]
    return np.asarray(np.mean(told, axis=0))


def ridge_folds(
    sections: Sequence[EncodedSection], panel: Sequence[str], choices: Sequence[PredictorSettings]
) -> Iterator[tuple[list[Floats], Floats, EncodedSection]]:
    """Yield, for each section that inner folds hold out, what the ridge expert says by each choice
    (standardised), what was measured, and the section."""
    pitch = float(np.median([section.pitch_um for section in sections]))
    for training, held_out in inner_folds(sections)[0]:
        trust = spot_weights(training)
        parts = np.split(trust, np.cumsum([len(section.features) for section in training])[:-1])
        targets = [panel_expression(section, panel, choices[0].target) for section in training]
        standardise(targets, parts)
        expression = np.concatenate(targets)
        scores, loadings = expression_components(expression, trust, choices[0].rank)
        learned = []
        for choice in choices:
            space = InputSpace.learned(training, choice.reaches, choice.measures, pitch)
            inputs = np.concatenate([space.of(section) for section in training])
            learned.append((space, weighted_ridge(inputs, scores, trust) @ loadings))
        for section in held_out:
            answers = [np.asarray(space.of(section) @ weights) for space, weights in learned]
            yield answers, panel_expression(section, panel, choices[0].target), section


def validate(sections: Sequence[EncodedSection], options: FitOptions) -> InnerValidation:
    """Train without each fold, predict it, and choose what predicts the held-out folds best.

    Nothing is held out where the variant says how its parts are weighed, or sections are too small.
    """
    fixed = variant_named(options.settings.variant).weights
    if fixed is not None:
        return InnerValidation(fixed, {}, "nothing")
    folds, split = inner_folds(sections)
    smallest = min(len(section.features) for fold in folds for part in fold for section in part)
    if smallest < _MIN_SPOTS:
        return InnerValidation(EnsembleWeights(), {}, "nothing")
    every = [*folds, *other_folds(sections, split)]
    found: list[tuple[FittedPredictor, PartialPredictions, EncodedSection, bool]] = []
    truths: list[Floats] = []
    chosen, everyone = 0, {section.patient for section in sections}
    for number, (training, held_out) in enumerate(every, start=1):
        fitted = fit_parts(training, options, message=f"inner validation {number} of {len(every)}")
        patients = {section.patient for section in training}
        for section in held_out:
            inputs = fitted.read(section.features, section.centres_um, section.slide)
            parts = fitted.partial_predictions(inputs, options.device)[0]
            found.append((fitted, parts, section, section.patient in patients))
            chosen += number <= len(folds)
            truths.append(panel_expression(section, options.panel, options.settings.target))
            r = float(np.nanmedian(gene_correlation(parts.weighed(EnsembleWeights()), truths[-1])))
            whose = f"held out {section.name} of patient {section.patient}: median r of the genes {r:.2f}"
            options.progress.report(f"{whose} before its parts are weighed", number, len(every))
    answers = [(parts, truth) for (_, parts, _, _), truth in zip(found, truths, strict=True)]
    weights = choose_weights(answers[:chosen], options.settings.without)
    if "smoothness" not in options.settings.without:
        told = [
            (parts.weighed(weights), truth, section.centres_um, fitted.spatial)
            for (fitted, parts, section, _), truth in zip(found[:chosen], truths, strict=False)
        ]
        rough, smooth = choose_smoothness(told, found[0][0].pitch_um)
        weights = replace(weights, rough=rough, smooth=smooth)
    held = []
    for (fitted, parts, section, known), truth in zip(found, truths, strict=True):
        weighed = replace(fitted, weights=weights)
        written = np.asarray(weighed.expression(parts.weighed(weights), section.centres_um))
        held.append(_held_out(written, truth, section, options, known=known))
    scores = reliability(options.panel, held[:chosen], split)
    for name, wanted in (("same", True), ("new", False)):
        mine = [one for one in held if one.known is wanted]
        own = reliability(options.panel, mine, split) if mine else {}
        scores = {gene: {**score, name: own.get(gene)} for gene, score in scores.items()}
    return InnerValidation(weights, scores, split, conformal(held, len(everyone), options.seed))


def other_folds(sections: Sequence[EncodedSection], split: str) -> list[Fold]:
    """What `inner_folds` leaves open: patients held out whole, or sections of patients that stay in training.

    Nothing is chosen by these folds: they say how far a new patient, and other tissue of a known one, can be
    trusted.
    """
    names: dict[str, list[str]] = {}
    for section in sections:
        names.setdefault(section.patient, []).append(section.name)
    several = [own for own in names.values() if len(own) > 1]
    if len(names) < 2 or not several or split == HALVES:
        return []
    deepest = min(max(map(len, several)), _MAX_FOLDS)
    parted = [[name for own in several for name in own[first::deepest]] for first in range(deepest)]
    return [
        ([s for s in sections if s.name not in held], [s for s in sections if s.name in held])
        for held in (parted if split == "patient" else several)
    ]


def _held_out(
    predicted: Floats, measured: Floats, section: EncodedSection, options: FitOptions, *, known: bool
) -> HeldOutTissue:
    counts = None
    if options.settings.target == "clean":
        # log1p(10,000 c / N) turned round: the counts of the panel, whatever holds them.
        counts = np.round(np.expm1(measured.astype(np.float64)) * section.depth[:, None] / 1e4)
    return HeldOutTissue(predicted, measured, counts, section.depth, known)


def reliability(panel: Sequence[str], held: Sequence[HeldOutTissue], split: str) -> dict[str, dict[str, Any]]:
    """Mean r over what was held out; the interval adds Fisher's variance to that between the sections.

    Halves of one section hold every spot twice: only half of them are independent.
    """
    independent = len(held) // 2 if split == HALVES else len(held)
    r = np.stack([gene_correlation(one.predicted, one.measured) for one in held])
    each = np.arctanh(np.clip(r, -0.999999, 0.999999))
    variance = np.mean([1 / max(len(one.measured) - 3, 1) for one in held])
    if len(held) > 1:
        variance = variance + each.var(axis=0, ddof=1)
    spread = 1.96 * np.sqrt(variance / independent)
    r, centre = r.mean(axis=0), each.mean(axis=0)
    low, high = np.minimum(np.tanh(centre - spread), r), np.maximum(np.tanh(centre + spread), r)
    return {
        gene: {"r": round(float(a), 4), "low": round(float(b), 4), "high": round(float(c), 4)}
        for gene, a, b, c in zip(panel, r, low, high, strict=True)
    }


def _halves(section: EncodedSection) -> list[EncodedSection]:
    halves = []
    for places, names in zip(section.centres_um.T, (("upper", "lower"), ("left", "right")), strict=True):
        for name, rows in zip(names, np.array_split(np.argsort(places, kind="stable"), 2), strict=True):
            halves.append(section.part(np.sort(rows), f"{section.name}, {name} half"))
    return halves
