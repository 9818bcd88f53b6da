"""Where the components start: main directions of the metastases, turned until few genes load on each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from histoscribe.generator.network import CODE

_TURNS = 60


def learn_directions(profiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """Varimax-turned principal directions (Kaiser, 1958), strongest first, scaled to codes of unit variance.

    Each direction points to where its loadings are skewed, so that signs do not change from run to run.

    Parameters
    ----------
    profiles : ndarray of float32, shape (samples, genes)
        Standardised.

    Returns
    -------
    ndarray of float32, shape (genes, CODE)
        Where there are fewer samples than components, the last ones are close to 0.
    """
    centred = profiles - profiles.mean(0)
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    rank = min(CODE, max(len(profiles) - 2, 1))
    order = np.argsort(-values)[:rank]
    axes = (centred.T @ vectors[:, order]) / np.sqrt(np.maximum(values[order], 1e-9))
    loadings = axes * np.sqrt(values[order] / len(profiles))
    loadings = loadings @ _varimax(loadings)
    scores = centred @ np.linalg.pinv(loadings).T
    loadings = loadings * scores.std(0)
    loadings = loadings[:, np.argsort(-np.square(loadings).sum(0))]
    loadings *= np.where((loadings**3).sum(0) < 0, -1.0, 1.0)
    whole = np.random.default_rng(0).normal(0, 1e-3, (profiles.shape[1], CODE))
    whole[:, :rank] = loadings
    return whole.astype(np.float32)


def _varimax(loadings: NDArray[np.float64]) -> NDArray[np.float64]:
    genes, count = loadings.shape
    turn = np.eye(count)
    for _ in range(_TURNS):
        turned = loadings @ turn
        target = turned**3 - turned * (np.square(turned).sum(0) / genes)
        left, _, right = np.linalg.svd(loadings.T @ target)
        turn = left @ right
    return np.asarray(turn)
