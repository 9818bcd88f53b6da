"""Baselines made of the parents alone, and real metastases as what a perfect generator would reach."""

import numpy as np

from histoscribe.arrays import Floats
from histoscribe.benchmark.generator.bed import Profiles, Request, Sampler, Seed
from histoscribe.benchmark.generator.colorectal import REAL_HALF, colorectal_of
from histoscribe.benchmark.generator.semisynthetic import REAL, judge_of
from histoscribe.benchmark.methods import Method
from histoscribe.generator.parents import PURITIES, mix


def identity(seed: Seed) -> Sampler:
    """The primary as it is."""

    def sample(request: Request) -> Profiles:
        primaries, _ = request.draw_parents()
        return Profiles(request.parents.values[primaries], request.parents.names[primaries])

    return sample


def linear_mixture(seed: Seed) -> Sampler:
    """w · primary + (1 − w) · normal tissue on the linear scale.

    The w at which the mean mixture lies nearest to the mean metastasis, over all training pairs.
    """
    train = seed.bed.train
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

    def sample(request: Request) -> Profiles:
        primaries, normals = request.draw_parents()
        share = np.full(len(primaries), best, dtype=np.float32)
        values = mix(request.parents.values[primaries], request.parents.values[normals], share)
        return Profiles(values, request.parents.names[primaries])

    return sample


def real(seed: Seed) -> tuple[Profiles, Profiles]:
    """Every other training metastasis, and those of the parents' own patients."""
    return judge_of(seed).real


def colorectal_identity(seed: Seed) -> Floats:
    """Colorectal primaries as they are."""
    bed = colorectal_of(seed)
    parents = bed.parents
    return bed.shared(parents.cohort.values[parents.tumours], parents.cohort.genes)


def colorectal_mixture(seed: Seed) -> Floats:
    """The linear mixture at the mean purity of the training half."""
    bed = colorectal_of(seed)
    parents = bed.parents
    share = np.full(len(parents.tumours), np.nanmean(bed.joined.purity), dtype=np.float32)
    return bed.shared(parents.mixed(share), parents.cohort.genes)


def colorectal_shifted(seed: Seed) -> Floats:
    """The linear mixture at the asked purity plus its mean difference from the training metastases."""
    bed = colorectal_of(seed)
    parents = bed.joined_parents
    mixed = parents.mixed(parents.purity)
    shift = bed.joined.values[bed.joined.of("metastasis")].mean(0) - mixed.mean(0)
    return bed.shared(np.asarray(np.maximum(mixed + shift, 0), dtype=np.float32), bed.joined.genes)


def colorectal_real(seed: Seed) -> Floats:
    """The real metastases of the training half."""
    bed = colorectal_of(seed)
    return bed.metastases[~bed.held]


METHODS = (
    Method("linear-mixture", ("generator semi-synthetic",), linear_mixture),
    Method("identity", ("generator semi-synthetic",), identity),
    Method(REAL, ("generator semi-synthetic",), real),
    Method("identity", ("generator colorectal",), colorectal_identity),
    Method("linear-mixture", ("generator colorectal",), colorectal_mixture),
    Method("mixture-shifted", ("generator colorectal",), colorectal_shifted),
    Method(REAL_HALF, ("generator colorectal",), colorectal_real),
)
