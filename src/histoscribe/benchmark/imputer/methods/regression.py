"""Regressions on observed genes: classes by logistic regression, survival by what Cox regression is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.benchmark.methods import Method

if TYPE_CHECKING:
    from histoscribe.benchmark.imputer.survival import Part
    from histoscribe.bulk import BulkTable

_CLASS_AXES, _SURVIVAL_AXES = 50, 20


def logistic(train: BulkTable, labels: NDArray[np.str_], test: BulkTable) -> NDArray[np.str_]:
    """Logistic regression on the observed genes."""
    return _regressed(train, labels, test, [])


def principal(train: BulkTable, labels: NDArray[np.str_], test: BulkTable) -> NDArray[np.str_]:
    """Logistic regression on at most 50 principal components of the observed genes."""
    from sklearn.decomposition import PCA

    most = min(_CLASS_AXES, train.table.n_vars, train.table.n_obs)
    return _regressed(train, labels, test, [PCA(most, random_state=0)])


def observed(part: Part, panel: NDArray[np.int64]) -> NDArray[np.float64]:
    """The observed genes as they are."""
    return part.values[:, panel]


def components(part: Part, panel: NDArray[np.int64]) -> NDArray[np.float64]:
    """At most 20 principal components of the observed genes."""
    from sklearn.decomposition import PCA

    values = part.values[:, panel]
    mean, sd = values[part.train].mean(0), values[part.train].std(0) + 1e-9
    model = PCA(min(_SURVIVAL_AXES, values.shape[1]), random_state=0).fit((values[part.train] - mean) / sd)
    return np.asarray(model.transform((values - mean) / sd), dtype=np.float64)


def _regressed(
    train: BulkTable, labels: NDArray[np.str_], test: BulkTable, steps: list[Any]
) -> NDArray[np.str_]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), *steps, LogisticRegression(max_iter=500))
    values, asked = (np.nan_to_num(one.table.X, nan=0.0) for one in (train, test))
    return np.asarray(model.fit(values, labels).predict(asked), dtype=str)


METHODS = (
    Method("logistic regression", ("imputer classes",), logistic),
    Method("PCA + logistic regression", ("imputer classes",), principal),
    Method("PCA of observed", ("imputer survival",), components),
    Method("observed", ("imputer survival",), observed),
    Method("PCA of all genes", ("imputer survival",), components, {"panel": "all"}),
)
