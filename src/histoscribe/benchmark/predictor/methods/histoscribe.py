"""The predictor itself: as published, in its default settings, and with parts left out or added."""

from functools import partial
from typing import Any

import numpy as np

from histoscribe.benchmark.methods import REFERENCE, Method
from histoscribe.benchmark.predictor.peers import HeldOutSections, Prediction
from histoscribe.predictor import Predictor
from histoscribe.predictor.intervals import widening
from histoscribe.predictor.judging import score_that_applies
from histoscribe.predictor.settings import PARTS

_WITHOUT = f"{REFERENCE} without"
_VARIED: dict[str, dict[str, Any]] = {
    **{f"{_WITHOUT} {part}": {"without": (part,)} for part in PARTS},
    f"{REFERENCE} with the spatial graph": {"graphs": ("spatial",)},
    f"{REFERENCE} with the functional graph": {"graphs": ("functional",)},
    f"{REFERENCE} with both graphs": {"graphs": ("spatial", "functional")},
    f"{_WITHOUT} context": {"radii": ()},
    f"{_WITHOUT} section units": {"units": ("training",)},
    f"{_WITHOUT} training units": {"units": ("section",)},
    f"{_WITHOUT} three members": {"members": 1},
    f"{_WITHOUT} chosen reach": {"radii": (1.5, 3.0)},
}


def predict(fold: HeldOutSections, seed: int, **settings: Any) -> list[Prediction]:
    """Fit a predictor on the training sections and predict the test sections, with its intervals.

    Of a test section's counts only each spot's sum is looked at, which sets the width of its intervals.
    """
    model = Predictor(seed=seed, panel=fold.panel, target=fold.target, **settings).fit_encoded(fold.train)
    predictions, held_out = [], model.card.held_out
    for test in fold.tests:
        found, known = model.fitted, test.patient in model.card.patients
        told = model._predict(test.features, test.centres_um, None, None)[0]
        expression = np.asarray(told.expression)
        if found.intervals is None:
            predictions.append(Prediction(expression))
            continue
        bounds = found.intervals.around(
            expression, known=known, depth=test.depth, wider=widening(told.novelty, None)
        )
        # Without a new patient in training, the scores of known ones tell the genes apart.
        scores = [score_that_applies(held_out[gene], known=known) or held_out[gene] for gene in fold.panel]
        surety = np.array([score["r"] for score in scores])
        predictions.append(Prediction(expression, *bounds, surety, told.novelty))
    return predictions


def _method(name: str, settings: dict[str, Any], *, default: bool) -> Method:
    learn = partial(predict, **settings)
    code = ("histoscribe.predictor", "histoscribe.graphs", "histoscribe.models")
    return Method(name, ("predictor",), learn, settings, depends=(__name__, *code), default=default)


METHODS = (
    _method("gr2st-published", {"variant": "published"}, default=True),
    _method(REFERENCE, {}, default=True),
    *(_method(name, settings, default=False) for name, settings in _VARIED.items()),
)
