"""Guided prediction, and what else can be made of a model and some spots of the section itself."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from histoscribe.arrays import Floats, Numbers
from histoscribe.benchmark.methods import REFERENCE, Method
from histoscribe.benchmark.predictor.guided import TASK, GivenSpotsFold
from histoscribe.benchmark.predictor.methods.linear import ridge_context
from histoscribe.benchmark.predictor.peers import Prediction, make_example
from histoscribe.graphs import spatial_graph
from histoscribe.predictor import Predictor

_LENGTHS = (1.0, 2.0, 4.0, 8.0, 16.0)
_NUGGETS = (0.3, 1.0, 3.0, 10.0, 30.0)
_ALIKE, _KEPT, _ROUNDS = 8, 0.9, 200


def guided(fold: GivenSpotsFold, seed: int) -> list[Prediction]:
    """The model, guided by the given spots; with the intervals that these give."""
    found, section, model = [], fold.section, fold.fit()
    for rows in fold.given:
        expression, guidance = model.guided_encoded(fold.part(rows)).explain_encoded(
            section.features, section.centres_um
        )
        found.append(Prediction(expression, *guidance.intervals.around(expression)))
    return found


def by_draw(
    from_spots: Callable[[GivenSpotsFold, Numbers], Floats], fold: GivenSpotsFold, seed: int
) -> list[Prediction]:
    """What a method says that answers draw by draw."""
    return [Prediction(np.asarray(from_spots(fold, rows), np.float32)) for rows in fold.given]


def prior(fold: GivenSpotsFold, rows: Numbers) -> Floats:
    """The model alone."""
    return fold.fit().predict_encoded(fold.section.features, fold.section.centres_um)


def own_mean(fold: GivenSpotsFold, rows: Numbers) -> Floats:
    """The mean profile of the given spots."""
    return np.tile(fold.truth[rows].mean(axis=0), (len(fold.truth), 1))


def own_ridge(fold: GivenSpotsFold, rows: Numbers) -> Floats:
    """Ridge regression on descriptors and context, from the given spots."""
    whole = make_example(fold.section, fold.panel)
    names = ("features", "context", "places", "log_depth", "expression")
    part = replace(whole, **{name: getattr(whole, name)[rows] for name in names})
    return ridge_context([part], [whole], 0)[0]


def own_fit(fold: GivenSpotsFold, rows: Numbers) -> Floats:
    """The predictor, fitted on the given spots."""
    model = Predictor(seed=0, panel=fold.panel).fit_encoded([fold.part(rows)])
    return model.predict_encoded(fold.section.features, fold.section.centres_um)


def both_fit(fold: GivenSpotsFold, rows: Numbers) -> Floats:
    """The predictor, fitted anew on the training sections and the given spots."""
    model = Predictor(seed=0, panel=fold.panel).fit_encoded([*fold.train, fold.part(rows)])
    return model.predict_encoded(fold.section.features, fold.section.centres_um)


def kriging(fold: GivenSpotsFold, rows: Numbers) -> Floats:
    """Kriging of the given spots."""
    return _kriged(fold, rows, fold.truth[rows])


def regression_kriging(fold: GivenSpotsFold, rows: Numbers) -> Floats:
    """The model, and kriging of what the given spots differ from it."""
    said = prior(fold, rows)
    return said + _kriged(fold, rows, fold.truth[rows] - said[rows])


def propagation(fold: GivenSpotsFold, rows: Numbers) -> Floats:
    """Label propagation from the given spots along a spatial and a functional graph of the tiles.

    Spots within 1.5 pitches, and the 8 whose descriptors are most alike, by how alike they are; Zhou et al.,
    NIPS 2003.
    """
    seen, count = make_example(fold.section, fold.panel).context, len(fold.truth)
    spatial = spatial_graph(fold.section.centres_um, fold.section.pitch_um, self_edges=False)
    alike = cKDTree(seen).query(seen, k=_ALIKE + 1)[1][:, 1:]
    functional = np.stack([np.repeat(np.arange(count), _ALIKE), alike.ravel()])
    edges = np.unique(np.concatenate([spatial, functional, functional[::-1]], axis=1), axis=1)
    far = ((seen[edges[0]] - seen[edges[1]]) ** 2).sum(axis=1)
    graph = csr_array((np.exp(-far / np.median(far)), (edges[0], edges[1])), shape=(count, count))
    root = 1 / np.sqrt(np.maximum(graph.sum(axis=1), 1e-12))
    walk = csr_array(graph.multiply(root[:, None]).multiply(root[None]))
    mean = fold.truth[rows].mean(axis=0)
    start = np.zeros_like(fold.truth)
    start[rows] = fold.truth[rows] - mean
    label, reached = np.zeros((count, 1)), start.copy()
    label[rows] = 1
    here = label.copy()
    for _ in range(_ROUNDS):
        reached = _KEPT * (walk @ reached) + (1 - _KEPT) * start
        here = _KEPT * (walk @ here) + (1 - _KEPT) * label
    return np.asarray(mean + reached / np.maximum(here, 1e-6))


def _kriged(fold: GivenSpotsFold, rows: Numbers, values: Floats) -> Floats:
    """Ordinary kriging with an exponential covariance, its length and nugget by leaving spots out."""
    places = fold.section.centres_um / fold.section.pitch_um
    among, to = cdist(places[rows], places[rows]), cdist(places, places[rows])
    best, found = np.inf, None
    for length in _LENGTHS:
        for nugget in _NUGGETS:
            inverse = np.linalg.inv(np.exp(-among / length) + nugget * np.eye(len(rows)))
            ones = inverse.sum(axis=0)
            mean = ones @ values / ones.sum()
            left_out = (inverse @ (values - mean)) / np.diag(inverse)[:, None]
            if (error := float((left_out**2).mean())) < best:
                best, found = error, mean + np.exp(-to / length) @ (inverse @ (values - mean))
    assert found is not None
    return np.asarray(found, np.float32)


_LEARNS: dict[str, Callable[..., list[Prediction]]] = {
    "own mean": partial(by_draw, own_mean),
    "model alone": partial(by_draw, prior),
    "own ridge": partial(by_draw, own_ridge),
    "kriging": partial(by_draw, kriging),
    "regression kriging": partial(by_draw, regression_kriging),
    "label propagation": partial(by_draw, propagation),
    "own spots (fit)": partial(by_draw, own_fit),
    "both (fit)": partial(by_draw, both_fit),
    REFERENCE: guided,
}
_CODE = (__name__, "histoscribe.predictor", "histoscribe.graphs", "histoscribe.models")
METHODS = tuple(Method(name, (TASK,), learn, depends=_CODE) for name, learn in _LEARNS.items())
