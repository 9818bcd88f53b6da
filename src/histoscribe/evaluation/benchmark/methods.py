"""The methods of the predictor's benchmark by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SettingError
from histoscribe.evaluation.benchmark.peers import contrastive, linear, triplex
from histoscribe.evaluation.benchmark.peers.inputs import Example, make_example
from histoscribe.predictor import EncodedSection, Predictor

Peer = Callable[[Sequence[Example], Example, int], NDArray[np.float32]]

PEERS: dict[str, Peer] = {
    "mean": linear.mean,
    "depth-only": linear.depth_only,
    "ridge": linear.ridge,
    "ridge-context": linear.ridge_context,
    "knn": linear.knn,
    "bleep": contrastive.bleep,
    "mclstexp": contrastive.mclstexp,
    "triplex": triplex.triplex,
}
OURS = {"gr2st-published": "published", "histoscribe": "histoscribe"}


def method_names() -> list[str]:
    """Every method, the plain ones first and the default last."""
    return [*PEERS, *OURS]


def predict_with(
    name: str,
    train: Sequence[EncodedSection],
    test: EncodedSection,
    panel: Sequence[str],
    *,
    panel_size: int,
    seed: int,
) -> NDArray[np.float32]:
    """Train a method on some sections and predict the panel of another, shape (spots, panel).

    Parameters
    ----------
    name : str
    train : sequence of EncodedSection
    test : EncodedSection
        Only its descriptors and places are looked at, and its depth by `depth-only`.
    panel : sequence of str
        Of the `panel_size` most variable training genes, those that the test section has too.
    panel_size, seed : int

    Raises
    ------
    SettingError
        If no method has this name.
    """
    if name in PEERS:
        return PEERS[name](
            [make_example(section, panel) for section in train], make_example(test, panel), seed
        )
    if name not in OURS:
        raise SettingError(
            f"no method is called {name!r}",
            where="--methods",
            remedy=f"choose from {', '.join(method_names())}",
        )
    model = Predictor(OURS[name], seed=seed, panel_size=panel_size).fit_encoded(train)
    predicted = model.predict_encoded(test.features, test.centres_um)
    column = {gene: number for number, gene in enumerate(model.genes)}
    return predicted[:, [column[gene] for gene in panel]]
