"""The two regressions of HEST's own protocol, as it publishes them; they are asked of its splits only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from histoscribe.arrays import Wide
from histoscribe.benchmark.methods import Method

if TYPE_CHECKING:
    from histoscribe.benchmark.predictor.hest import OfficialFold

COMPONENTS, _SEED, _ITERATIONS = 256, 1, 1000


def ridge(fold: OfficialFold, seed: int) -> Wide:
    """Ridge without intercept on the embeddings as they are; alpha is 100 / (inputs · genes), solver lsqr."""
    return _ridge(fold.inputs.astype(np.float64), fold.measured, fold.asked.astype(np.float64))


def pca_ridge(fold: OfficialFold, seed: int) -> Wide:
    """The same on 256 principal components of the standardised embeddings, or on as many as there are."""
    inputs, asked = fold.inputs.astype(np.float64), fold.asked.astype(np.float64)
    scale = StandardScaler().fit(inputs)
    inputs, asked = scale.transform(inputs), scale.transform(asked)
    parts = PCA(min(COMPONENTS, *inputs.shape), random_state=_SEED).fit(inputs)
    return _ridge(parts.transform(inputs), fold.measured, parts.transform(asked))


def _ridge(inputs: Wide, measured: Wide, asked: Wide) -> Wide:
    alpha = 100 / (inputs.shape[1] * measured.shape[1])
    model = Ridge(alpha=alpha, solver="lsqr", fit_intercept=False, max_iter=_ITERATIONS, random_state=_SEED)
    told: Wide = model.fit(inputs, measured).predict(asked)
    return told


METHODS = (
    Method("hest-ridge", ("predictor hest",), ridge),
    Method("hest-pca-ridge", ("predictor hest",), pca_ridge),
)
