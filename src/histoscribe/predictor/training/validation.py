"""Inner validation: weights of the ensemble and reliability of genes, from sections held out in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.ensemble import (
    EnsembleWeights,
    PartialPredictions,
    choose_weights,
    gene_correlation,
)
from histoscribe.predictor.inputs import InputSpace, Unit
from histoscribe.predictor.intervals import Intervals, conformal
from histoscribe.predictor.linear import expression_components, weighted_ridge
from histoscribe.predictor.model import FittedPredictor
from histoscribe.predictor.settings import PredictorSettings
from histoscribe.predictor.target import panel_expression, spot_weights
from histoscribe.predictor.training.fitting import FitOptions, fit_parts, standardised_targets
from histoscribe.predictor.variants.variant import variant_named

REACHES: tuple[tuple[float, ...], ...] = ((), (1.5, 3.0), (1.5, 3.0, 6.0))
_MEASURES: tuple[tuple[Unit, ...], ...] = (("section",), ("section", "training"))
_MAX_FOLDS = 5
_MIN_SPOTS = 8
HALVES = "half of the section"


@dataclass(frozen=True, eq=False)
class InnerValidation:
    """What inner validation found.

    Parameters
    ----------
    weights : EnsembleWeights
    held_out : dict
        Per gene `r`, and `low`, `high`: a 95 % interval that grows where the held-out sections differ.
    split : str
        What was held out: `patient`, `section`, `half of the section` or `nothing`.
    intervals : Intervals or None
        Conformal bounds from the residuals on what was held out.
    """

    weights: EnsembleWeights
    held_out: dict[str, dict[str, float]]
    split: str
    intervals: Intervals | None = None


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
    folds = []
    for held in range(len(groups)):
        training = [s for number, group in enumerate(groups) if number != held for s in group]
        folds.append((training, groups[held]))
    return folds, split


def choose_inputs(
    sections: Sequence[EncodedSection], panel: Sequence[str], settings: PredictorSettings
) -> PredictorSettings:
    """The settings with what the image is seen by: reach of the context, and units.

    Whatever is not set is chosen: the ridge expert predicts inner folds best from it. Halves of one section
    share their staining, so that only several sections can tell whether units of training help.
    """
    folds = inner_folds(sections)[0]
    pitch = float(np.median([section.pitch_um for section in sections]))
    reaches = REACHES if settings.radii is None else (settings.radii,)
    kinds = _MEASURES if len(sections) > 1 else _MEASURES[:1]
    choices = list(product(reaches, kinds if settings.units is None else (settings.units,)))
    reached = np.zeros(len(choices))
    for training, held_out in folds if len(choices) > 1 else ():
        trust = spot_weights(training)
        parts = np.split(trust, np.cumsum([len(section.features) for section in training])[:-1])
        targets = [panel_expression(section, panel, settings.target) for section in training]
        expression = np.concatenate(standardised_targets(targets, parts)[2])
        scores, loadings = expression_components(expression, trust, settings.rank)
        for number, (radii, units) in enumerate(choices):
            space = InputSpace.learned(training, radii, units, pitch)
            inputs = np.concatenate([space.of(section) for section in training])
            weights = weighted_ridge(inputs, scores, trust) @ loadings
            for section in held_out:
                truth = panel_expression(section, panel, settings.target)
                reached[number] += gene_correlation(space.of(section) @ weights, truth).mean()
    radii, units = choices[int(np.argmax(reached))]
    return replace(settings, radii=radii, units=units)


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
    found: list[tuple[FittedPredictor, PartialPredictions, NDArray[np.float32]]] = []
    for number, (training, held_out) in enumerate(folds, start=1):
        fitted = fit_parts(training, options, message=f"inner validation {number} of {len(folds)}")
        for section in held_out:
            inputs = fitted.read(section.features, section.centres_um, section.slide)
            parts = fitted.partial_predictions(inputs, options.device)[0]
            found.append((fitted, parts, panel_expression(section, options.panel, options.settings.target)))
    weights = choose_weights([(parts, truth) for _, parts, truth in found], options.settings.without)
    told = [(fitted.expression(parts.weighed(weights)), truth) for fitted, parts, truth in found]
    independent = len(told) // 2 if split == HALVES else len(told)
    return InnerValidation(weights, _reliability(options.panel, told, independent), split, conformal(told))


def _reliability(
    panel: Sequence[str], told: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]], independent: int
) -> dict[str, dict[str, float]]:
    """Mean r over what was held out; the interval adds Fisher's variance to that between the sections.

    Halves of one section hold every spot twice: only half of them are `independent`.
    """
    r = np.stack([gene_correlation(predicted, truth) for predicted, truth in told])
    each = np.arctanh(np.clip(r, -0.999999, 0.999999))
    variance = np.mean([1 / max(len(truth) - 3, 1) for _, truth in told])
    if len(told) > 1:
        variance = variance + each.var(axis=0, ddof=1)
    spread = 1.96 * np.sqrt(variance / independent)
    r, centre = r.mean(axis=0), each.mean(axis=0)
    low, high = np.minimum(np.tanh(centre - spread), r), np.maximum(np.tanh(centre + spread), r)
    return {
        gene: {"r": round(float(a), 4), "low": round(float(b), 4), "high": round(float(c), 4)}
        for gene, a, b, c in zip(panel, r, low, high, strict=True)
    }


def _halves(section: EncodedSection) -> list[EncodedSection]:
    orders = [np.argsort(places, kind="stable") for places in section.centres_um.T]
    parts = [rows for order in orders for rows in np.array_split(order, 2)]
    names = ("upper", "lower", "left", "right")
    return [
        section.part(np.sort(rows), f"{section.name}, {name} half")
        for name, rows in zip(names, parts, strict=True)
    ]
