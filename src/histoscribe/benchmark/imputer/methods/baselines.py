"""The imputer's baselines: how values are restored, classes told, and what Cox regression is given."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from histoscribe.arrays import Floats, Numbers, Wide
from histoscribe.benchmark.imputer.heldout import HeldOut, Restore
from histoscribe.benchmark.imputer.spots import chosen_of
from histoscribe.benchmark.methods import Method

if TYPE_CHECKING:
    from histoscribe.benchmark.imputer.survival import Part
    from histoscribe.bulk import BulkTable

_ROUNDS = 500
_CLASS_AXES, _SURVIVAL_AXES = 50, 20


def gene_mean(held: HeldOut) -> Restore:
    """The mean of the training samples."""
    return lambda shown: (np.zeros_like(shown), None)


def class_mean(held: HeldOut) -> Restore:
    """Means of the classes, which it is told: no other method knows them."""
    kinds, train = held.kinds[held.test], held.kinds[~held.test]
    means = {kind: np.nanmean(held.train[train == kind], 0) for kind in np.unique(train)}
    overall = np.zeros(held.truth.shape[1], dtype=np.float32)
    guess = np.nan_to_num(np.array([means.get(kind, overall) for kind in kinds], dtype=np.float32))
    return lambda shown: (guess, None)


def nearest(held: HeldOut, neighbours: int = 10) -> Restore:
    """Mean of the nearest training samples by the observed genes."""
    train = held.filled

    def restore(shown: Floats) -> tuple[Floats, None]:
        seen = ~np.isnan(shown)
        filled = np.where(seen, shown, 0)
        distance = -2 * filled @ train.T + seen.astype(np.float32) @ (train**2).T
        found = np.argpartition(distance, neighbours, axis=1)[:, :neighbours]
        return train[found].mean(1), None

    return restore


def low_rank(held: HeldOut, rank: int = 50) -> Restore:
    """Fill, project on the principal components of the training samples, repeat until nothing moves."""
    _, _, axes = np.linalg.svd(held.filled, full_matrices=False)
    axes = axes[:rank]

    def restore(shown: Floats) -> tuple[Floats, None]:
        seen = ~np.isnan(shown)
        given = np.nan_to_num(shown)
        filled, guess = given, np.zeros_like(given)
        for _ in range(_ROUNDS):
            before, guess = guess, filled @ axes.T @ axes
            filled = np.where(seen, given, guess)
            if np.abs(guess - before).mean() < 1e-4:
                break
        return guess, None

    return restore


def conditional_gaussian(held: HeldOut, shrunk: float = 0.2) -> Restore:
    """Exact, every pattern solved for itself; covariance shrunk towards its diagonal."""
    train = held.filled.astype(np.float64)
    covariance = (1 - shrunk) * (train.T @ train) / len(train)
    covariance[np.diag_indices_from(covariance)] /= 1 - shrunk

    def restore(shown: Floats) -> tuple[Floats, Floats]:
        guess, spread = np.zeros_like(shown), np.ones_like(shown)
        patterns, which = np.unique(~np.isnan(shown), axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            rows = np.flatnonzero(which.reshape(-1) == number)
            across = covariance[np.ix_(pattern, ~pattern)]
            weights = np.linalg.solve(covariance[np.ix_(pattern, pattern)], across)
            guess[np.ix_(rows, ~pattern)] = shown[rows][:, pattern] @ weights
            left = np.diag(covariance)[~pattern] - (across * weights).sum(0)
            spread[np.ix_(rows, ~pattern)] = np.sqrt(np.maximum(left, 1e-6))
        return guess, spread

    return restore


def ridge(held: HeldOut) -> Restore:
    """Ridge from the observed genes of a panel, its strength by leave-one-out on the training samples."""
    train = held.filled

    def restore(shown: Floats) -> tuple[Floats, None]:
        seen = ~np.isnan(shown).all(0)
        model = RidgeCV(alphas=np.array([0.03, 0.1, 0.3, 1.0, 3.0]) * seen.sum())
        model.fit(train[:, seen], train[:, ~seen])
        guess = np.zeros_like(shown)
        guess[:, ~seen] = model.predict(np.nan_to_num(shown[:, seen]))
        return guess, None

    return restore


def iterative(held: HeldOut) -> Restore:
    """scikit-learn's IterativeImputer (chained equations), 40 nearest features, fitted with holes everywhere.

    A column that is complete when it is fitted is later filled with its mean, so a tenth of the training
    values is hidden at fit.
    """
    random = np.random.default_rng(held.seed)
    train = np.where(random.random(held.train.shape) < 0.1, np.nan, held.train)
    imputer = IterativeImputer(Ridge(10.0), n_nearest_features=40, max_iter=3, random_state=0)
    with warnings.catch_warnings(action="ignore"):
        imputer.fit(train)
    return lambda shown: (imputer.transform(shown).astype(np.float32), None)


def logistic(
    train: BulkTable, labels: NDArray[np.str_], test: BulkTable, axes: int | None = None
) -> NDArray[np.str_]:
    """Logistic regression on the observed genes, or on at most so many principal components of them."""
    steps = [PCA(min(axes, *train.table.shape), random_state=0)] if axes else []
    model = make_pipeline(StandardScaler(), *steps, LogisticRegression(max_iter=500))
    values, asked = (np.nan_to_num(one.table.X, nan=0.0) for one in (train, test))
    return np.asarray(model.fit(values, labels).predict(asked), dtype=str)


def observed(part: Part, panel: Numbers) -> Wide:
    """The observed genes as they are."""
    return part.values[:, panel]


def components(part: Part, panel: Numbers) -> Wide:
    """At most 20 principal components of the observed genes."""
    values = part.values[:, panel]
    mean, sd = values[part.train].mean(0), values[part.train].std(0) + 1e-9
    model = PCA(min(_SURVIVAL_AXES, values.shape[1]), random_state=0).fit((values[part.train] - mean) / sd)
    return np.asarray(model.transform((values - mean) / sd), dtype=np.float64)


_ANYWHERE = ("imputer random", "imputer low", "imputer panels")


def _on_spots(name: str, *tried: Any) -> Method:
    """A baseline on spots; what it leaves open is chosen on a held-out training section."""
    return Method(name, ("imputer spots",), partial(chosen_of, tried), depends=(__name__,))


METHODS = (
    Method("gene mean", (*_ANYWHERE, "imputer spots"), gene_mean),
    Method("class mean (told)", _ANYWHERE, class_mean),
    Method("KNN-10", _ANYWHERE, nearest),
    Method("iterative low-rank 50", _ANYWHERE, low_rank),
    Method("IterativeImputer", ("imputer random", "imputer low"), iterative),
    Method("conditional Gaussian", _ANYWHERE, conditional_gaussian),
    _on_spots("KNN", *(partial(nearest, neighbours=count) for count in (10, 30, 60))),
    _on_spots("iterative low-rank", *(partial(low_rank, rank=rank) for rank in (10, 20, 50))),
    _on_spots(
        "conditional Gaussian", *(partial(conditional_gaussian, shrunk=shrunk) for shrunk in (0.2, 0.5, 0.8))
    ),
    Method("ridge", ("imputer panels", "imputer spots"), ridge),
    Method("logistic regression", ("imputer classes",), logistic),
    Method("PCA + logistic regression", ("imputer classes",), partial(logistic, axes=_CLASS_AXES)),
    Method("PCA of observed", ("imputer survival",), components),
    Method("observed", ("imputer survival",), observed),
    Method("PCA of all genes", ("imputer survival",), components, {"panel": "all"}),
)
