"""Tumour type from a few random genes: grouped folds, the same genes for every method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.benchmark.imputer.holdout import patients_of
from histoscribe.benchmark.imputer.missing import PANELS
from histoscribe.benchmark.imputer.scores import Figure, pooled
from histoscribe.errors import TableError

if TYPE_CHECKING:
    from histoscribe.bulk import BulkTable

Classify = Callable[["BulkTable", NDArray[np.str_], "BulkTable"], NDArray[np.str_]]

_FOLDS = 5
_AXES = 50


def logistic(train: BulkTable, labels: NDArray[np.str_], test: BulkTable) -> NDArray[np.str_]:
    """Logistic regression on the observed genes."""
    return _regressed(train, labels, test, [])


def principal(train: BulkTable, labels: NDArray[np.str_], test: BulkTable) -> NDArray[np.str_]:
    """Logistic regression on at most 50 principal components of the observed genes."""
    from sklearn.decomposition import PCA

    most = min(_AXES, train.table.n_vars, train.table.n_obs)
    return _regressed(train, labels, test, [PCA(most, random_state=0)])


def histoscribe(train: BulkTable, labels: NDArray[np.str_], test: BulkTable) -> NDArray[np.str_]:
    """The class that the imputer's memory expects."""
    from histoscribe.imputer.reference import expect_classes

    expected = expect_classes(train, labels.tolist(), test)
    names: NDArray[np.str_] = np.asarray(expected.columns, dtype=str)
    return np.asarray(names[expected.to_numpy().argmax(1)])


METHODS: dict[str, Classify] = {
    "logistic regression": logistic,
    "PCA + logistic regression": principal,
    "histoscribe": histoscribe,
}


def classifying(bulk: BulkTable, method: str, seed: int) -> dict[str, Figure]:
    """Accuracy of one method with each number of genes, over five folds of whole patients.

    Returns
    -------
    dict
        With the bootstrap interval over samples.

    Raises
    ------
    TableError
        If the table names no classes.
    """
    from sklearn.model_selection import GroupKFold

    table = bulk.table
    if "class" not in table.obs or table.obs["class"].nunique() < 2:
        raise TableError("it names no classes", where=bulk.name, remedy="name their column with --class")
    labels = table.obs["class"].astype(str).to_numpy()
    folds = GroupKFold(_FOLDS, shuffle=True, random_state=seed)
    random = np.random.default_rng(seed)
    found = {}
    for count in PANELS:
        if count >= table.n_vars:
            continue
        genes = np.sort(random.choice(table.n_vars, count, replace=False))
        right = np.zeros(len(labels))
        for train, test in folds.split(labels, groups=patients_of(table)):
            known, asked = (replace(bulk, table=table[rows][:, genes].copy()) for rows in (train, test))
            right[test] = METHODS[method](known, labels[train], asked) == labels[test]
        found[f"accuracy, {count:,} genes"] = pooled(right, np.ones(len(right)))
    return found


def _regressed(
    train: BulkTable, labels: NDArray[np.str_], test: BulkTable, steps: list[Any]
) -> NDArray[np.str_]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), *steps, LogisticRegression(max_iter=500))
    values, asked = (np.nan_to_num(one.table.X, nan=0.0) for one in (train, test))
    return np.asarray(model.fit(values, labels).predict(asked), dtype=str)
