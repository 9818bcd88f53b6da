"""Tumour type from a few random genes: grouped folds, the same genes for every method."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from histoscribe.benchmark.imputer.heldout import PANELS, Figure, patients_of, pooled
from histoscribe.benchmark.methods import Method
from histoscribe.errors import TableError

if TYPE_CHECKING:
    from histoscribe.bulk import BulkTable

_FOLDS = 5


def score_classes(bulk: BulkTable, method: Method, seed: int) -> dict[str, Figure]:
    """Accuracy of one method with each number of genes, over five folds of whole patients.

    The method is called with a table of training samples, their classes and a table of held-out samples, and
    returns the classes of these.

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
            right[test] = method.learn(known, labels[train], asked) == labels[test]
        found[f"accuracy, {count:,} genes"] = pooled(right, np.ones(len(right)))
    return found
