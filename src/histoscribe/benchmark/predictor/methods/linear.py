"""The plain peers: training mean, depth alone, ridge with and without context, nearest neighbours."""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import NearestNeighbors

from histoscribe.arrays import Floats, Wide
from histoscribe.benchmark.methods import Method
from histoscribe.benchmark.predictor.peers import Example, peer, stacked
from histoscribe.evaluation.measures import pearson_per_gene

_ALPHAS = tuple(10.0 ** (power / 2) for power in range(2, 13))
_NEIGHBOURS = 50


def mean(train: Sequence[Example], tests: Sequence[Example], seed: int) -> list[Floats]:
    """Every spot gets the training mean: the floor of every error measure, without any correlation."""
    average = stacked(train).mean(axis=0)
    return [np.broadcast_to(average, (len(test.features), len(average))).astype(np.float32) for test in tests]


def depth_only(train: Sequence[Example], tests: Sequence[Example], seed: int) -> list[Floats]:
    """A line through the log of the *test spot's own* total counts: how much depth leaks into a target."""
    model = LinearRegression().fit(stacked(train, "log_depth"), stacked(train))
    return [np.asarray(model.predict(test.log_depth), dtype=np.float32) for test in tests]


def ridge(train: Sequence[Example], tests: Sequence[Example], seed: int) -> list[Floats]:
    """Ridge regression on the descriptors; its penalty is chosen by r on held-out training sections."""
    return _ridge(train, tests, "features")


def ridge_context(train: Sequence[Example], tests: Sequence[Example], seed: int) -> list[Floats]:
    """Ridge regression on the descriptors and their neighbourhood means."""
    return _ridge(train, tests, "context")


def knn(train: Sequence[Example], tests: Sequence[Example], seed: int) -> list[Floats]:
    """The mean expression of the 50 training spots whose descriptors point the same way."""
    reference, expression = stacked(train, "features"), stacked(train)
    index = NearestNeighbors(n_neighbors=min(_NEIGHBOURS, len(reference)), metric="cosine").fit(reference)
    found = [index.kneighbors(test.features, return_distance=False) for test in tests]
    return [np.asarray(expression[nearest].mean(axis=1), dtype=np.float32) for nearest in found]


def _ridge(train: Sequence[Example], tests: Sequence[Example], inputs: str) -> list[Floats]:
    x, y = stacked(train, inputs).astype(np.float64), stacked(train).astype(np.float64)
    groups = np.repeat(np.arange(len(train)), [len(example.features) for example in train])
    if len(train) == 1:  # its quarters along the rows
        rows = train[0].places[:, 0]
        groups = np.searchsorted(np.quantile(rows, (0.25, 0.5, 0.75)), rows)
    reached = np.zeros(len(_ALPHAS))
    for group in np.unique(groups):
        held = groups == group
        found = _solutions(x[~held], y[~held], x[held], _ALPHAS)
        reached += [np.nan_to_num(pearson_per_gene(y[held], told)).mean() for told in found]
    best = _ALPHAS[int(np.argmax(reached))]
    return [
        _solutions(x, y, getattr(test, inputs).astype(np.float64), [best])[0].astype(np.float32)
        for test in tests
    ]


def _solutions(x: Wide, y: Wide, asked: Wide, alphas: Sequence[float]) -> list[Wide]:
    """Ridge predictions for each penalty, from one decomposition."""
    middle, mean = x.mean(axis=0), y.mean(axis=0)
    x, asked = x - middle, asked - middle
    left, spread, right = np.linalg.svd(x, full_matrices=False)
    seen, wanted = asked @ right.T, left.T @ (y - mean)
    return [mean + seen @ ((spread / (spread**2 + alpha))[:, None] * wanted) for alpha in alphas]


METHODS = (
    Method("mean", ("predictor",), peer(mean, as_they_are=True)),
    Method("depth-only", ("predictor",), peer(depth_only, as_they_are=True)),
    Method("ridge", ("predictor",), peer(ridge)),
    Method("ridge-context", ("predictor",), peer(ridge_context)),
    Method("knn", ("predictor",), peer(knn)),
)
