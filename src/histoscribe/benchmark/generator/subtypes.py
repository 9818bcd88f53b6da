"""Subtypes within each cancer, found in training primaries and handed on to their metastases."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from histoscribe.benchmark.generator.measures import learn_space
from histoscribe.generator.cohort import Cohort

_COMPONENTS = 10


def subtypes_of(train: Cohort, others: list[Cohort], *, seed: int = 0) -> dict[str, str]:
    """Two subtypes of each cancer, by the primary's name.

    k-means on the ten main components of a cancer's training primaries; primaries of other cohorts get the
    nearer centre.
    """
    from sklearn.cluster import KMeans

    found: dict[str, str] = {}
    for cancer in np.unique(train.cancers[train.of("primary")]):
        rows = train.of("primary", cancer=str(cancer))
        space = learn_space(train.values[rows], _COMPONENTS)
        model = KMeans(2, n_init=10, random_state=seed).fit(space.place(train.values[rows]))
        for cohort in (train, *others):
            some = cohort.of("primary", cancer=str(cancer))
            which = model.predict(space.place(cohort.values[some]))
            names = cohort.names[some].tolist()
            found.update({name: f"{cancer}-{one}" for name, one in zip(names, which, strict=True)})
    return found


def labelled(names: NDArray[np.str_], subtypes: dict[str, str]) -> NDArray[np.str_]:
    """The subtype of each primary by name."""
    return np.array([subtypes[str(name)] for name in names], dtype=str)
