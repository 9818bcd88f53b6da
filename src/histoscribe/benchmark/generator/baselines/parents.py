"""Baselines made of the parents alone: the primary as it is, and a linear mixture."""

from __future__ import annotations

import numpy as np

from histoscribe.benchmark.generator.sampling import Asked, Made, Sampler, draw_parents
from histoscribe.generator.cohort import Cohort
from histoscribe.generator.parents import PURITIES, mix


def identity(train: Cohort, seed: int) -> Sampler:
    """The primary as it is."""

    def sample(asked: Asked) -> Made:
        primaries, _ = draw_parents(asked)
        return Made(asked.parents.values[primaries], asked.parents.names[primaries])

    return sample


def linear_mixture(train: Cohort, seed: int) -> Sampler:
    """w · primary + (1 − w) · normal tissue on the linear scale.

    The w at which the mean mixture lies nearest to the mean metastasis, over all training pairs.
    """
    distance = np.zeros(len(PURITIES))
    met = train.of("metastasis")
    for cancer, site in sorted(set(zip(train.cancers[met], train.sites[met], strict=True))):
        rows = train.of("metastasis", cancer=str(cancer), site=str(site))
        tumour = train.values[train.of("primary", cancer=str(cancer))].mean(0)
        normal = train.values[train.of("normal", site=str(site))].mean(0)
        ends = [np.repeat(one[None], len(PURITIES), 0) for one in (tumour, normal)]
        away = mix(ends[0], ends[1], PURITIES) - train.values[rows].mean(0)
        distance += len(rows) * np.square(away).mean(1)
    best = float(PURITIES[distance.argmin()])

    def sample(asked: Asked) -> Made:
        primaries, normals = draw_parents(asked)
        share = np.full(len(primaries), best, dtype=np.float32)
        values = mix(asked.parents.values[primaries], asked.parents.values[normals], share)
        return Made(values, asked.parents.names[primaries])

    return sample
