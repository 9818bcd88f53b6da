"""The methods of the predictor's benchmark by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.benchmark.predictor.peers import brstnet, contrastive, linear, triplex
from histoscribe.benchmark.predictor.peers.inputs import Example, make_example
from histoscribe.errors import SettingError
from histoscribe.predictor import EncodedSection, Predictor
from histoscribe.predictor.settings import PARTS
from histoscribe.predictor.target import Target

Peer = Callable[[Sequence[Example], Sequence[Example], int], list[NDArray[np.float32]]]
Tiles = Mapping[str, NDArray[np.uint8]]

PEERS: dict[str, Peer] = {
    "mean": linear.mean,
    "depth-only": linear.depth_only,
    "ridge": linear.ridge,
    "ridge-context": linear.ridge_context,
    "knn": linear.knn,
    "bleep": contrastive.bleep,
    "mclstexp": contrastive.mclstexp,
    "triplex": triplex.triplex,
    "brstnet": brstnet.brstnet,
}
# The others learn from targets centred per section, as the default does: sections differ in depth and batch.
_AS_THEY_ARE = ("mean", "depth-only")
OURS: dict[str, dict[str, Any]] = {
    "gr2st-published": {"variant": "published"},
    "histoscribe": {},
}
_WITHOUT = "histoscribe without "
ABLATIONS: dict[str, dict[str, Any]] = {
    **{_WITHOUT + part: {"without": (part,)} for part in PARTS},
    "histoscribe with the spatial graph": {"graphs": ("spatial",)},
    "histoscribe with the functional graph": {"graphs": ("functional",)},
    "histoscribe with both graphs": {"graphs": ("spatial", "functional")},
    _WITHOUT + "context": {"radii": ()},
    _WITHOUT + "section units": {"units": ("training",)},
    _WITHOUT + "training units": {"units": ("section",)},
    _WITHOUT + "three members": {"members": 1},
    _WITHOUT + "chosen reach": {"radii": (1.5, 3.0)},
}


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a method says of one test section.

    Parameters
    ----------
    expression : ndarray of float32, shape (spots, panel)
    low, high : ndarray of float32, shape (spots, panel), or None
        90 % intervals, from methods that have them.
    """

    expression: NDArray[np.float32]
    low: NDArray[np.float32] | None = None
    high: NDArray[np.float32] | None = None


def method_names() -> list[str]:
    """Every method, the plain ones first and the default last."""
    return [*PEERS, *OURS]


def check_methods(names: Sequence[str], tiles: Tiles | None, sections: Sequence[EncodedSection]) -> None:
    """Refuse unknown methods, and methods whose input is missing.

    Raises
    ------
    SettingError
    """
    known = {*method_names(), *ABLATIONS}
    unknown = sorted(set(names) - known)
    if unknown:
        raise SettingError(
            f"no method is called {unknown[0]!r}",
            where="--methods",
            remedy=f"choose from {', '.join(method_names())}, or {_WITHOUT}PART",
        )
    lacking = [section.name for section in sections if section.name not in (tiles or {})]
    if "brstnet" in names and lacking:
        raise SettingError(
            f"brstnet learns from pixels, and {', '.join(lacking)} come without",
            where="--methods",
            remedy="leave it out, or give sections with their slides",
        )


def predict_with(
    name: str,
    train: Sequence[EncodedSection],
    tests: Sequence[EncodedSection],
    panel: Sequence[str],
    *,
    seed: int,
    target: Target = "clean",
    tiles: Tiles | None = None,
) -> list[Prediction]:
    """Train a method on some sections, once, and predict the panel of others.

    Parameters
    ----------
    name : str
    train, tests : sequence of EncodedSection
        Of test sections only descriptors, places and tiles are looked at, and the depth by `depth-only`.
    panel : sequence of str
        Genes that all sections have.
    seed : int
    target : str
    tiles : mapping, optional
        Pixels around the spots by section name, for `brstnet`.

    Returns
    -------
    list of Prediction
        One per test section.
    """
    if name in PEERS:
        train_examples, test_examples = (
            [
                make_example(section, panel, target=target, tiles=(tiles or {}).get(section.name))
                for section in part
            ]
            for part in (train, tests)
        )
        if name in _AS_THEY_ARE:
            return [Prediction(found) for found in PEERS[name](train_examples, test_examples, seed)]
        own = [example.expression.mean(axis=0) for example in train_examples]
        centred = [
            replace(example, expression=example.expression - middle)
            for example, middle in zip(train_examples, own, strict=True)
        ]
        average = np.mean(own, axis=0)
        return [Prediction(found + average) for found in PEERS[name](centred, test_examples, seed)]
    settings = {**OURS, **ABLATIONS}[name]
    model = Predictor(seed=seed, panel=panel, target=target, **settings).fit_encoded(train)
    intervals, predictions = model.fitted.intervals, []
    for test in tests:
        expression = model.predict_encoded(test.features, test.centres_um)
        bounds = (None, None) if intervals is None else intervals.around(expression)
        predictions.append(Prediction(expression, *bounds))
    return predictions
