"""The generator itself: on known and left-out normal tissue, and on real metastases, tuned or not."""

from functools import partial

import numpy as np

from histoscribe.arrays import Floats
from histoscribe.benchmark.generator.bed import Profiles, Request, Sampler, Seed, as_bulk
from histoscribe.benchmark.generator.colorectal import CANCER, SITE, DrawnParents, colorectal_of
from histoscribe.benchmark.methods import REFERENCE, Method
from histoscribe.generator import Generator

_CODE = ("histoscribe.generator", "histoscribe.models", "histoscribe.benchmark.generator.bed", __name__)


def sampler_of(seed: Seed, *, references: bool = False) -> Sampler:
    """Samples of the trained generator; `references` leaves the normal tissue to the model."""
    generator = seed.generator

    def sample(request: Request) -> Profiles:
        parents = request.parents
        values = np.empty((len(request.cancers), len(generator.genes)), dtype=np.float32)
        primaries = np.empty(len(values), dtype=parents.names.dtype)
        pairs = sorted(set(zip(request.cancers.tolist(), request.sites.tolist(), strict=True)))
        for place, (cancer, site) in enumerate(pairs):
            rows = np.flatnonzero((request.cancers == cancer) & (request.sites == site))
            normal = None if references else as_bulk(parents, parents.of("normal", site=site))
            primary, own = as_bulk(parents, parents.of("primary", cancer=cancer)), request.seed + 1000 * place
            table = generator.generate(
                primary, site=site, cancer=cancer, normal=normal, samples=len(rows), seed=own, adapt=False
            )
            values[rows], primaries[rows] = table.X, table.obs["primary"].to_numpy(dtype=str)
        return Profiles(values, primaries)

    return sample


def to_liver(seed: Seed) -> Floats:
    """Colorectal metastases without a look at real ones."""
    bed = colorectal_of(seed)
    return bed.shared(_pairwise(seed.generator, bed.parents, seed.seed), bed.parents.cohort.genes)


def to_liver_tuned(seed: Seed) -> Floats:
    """Colorectal metastases after training on the real ones of half of the patients."""
    bed = colorectal_of(seed)
    seed.progress.report(f"seed {seed.seed}: training on real metastases")
    tuned = Generator(seed=seed.seed).fit(bed.joined, progress=seed.progress)
    return bed.shared(_pairwise(tuned, bed.joined_parents, seed.seed), bed.joined.genes)


def _pairwise(generator: Generator, parents: DrawnParents, seed: int) -> Floats:
    """One sample for each pair of parents at its asked purity."""
    rows = []
    for place, (tumour, liver) in enumerate(zip(parents.tumours, parents.livers, strict=True)):
        primary, normal = (as_bulk(parents.cohort, np.array([row])) for row in (tumour, liver))
        table = generator.generate(
            primary,
            site=SITE,
            cancer=CANCER,
            normal=normal,
            samples=1,
            purity=float(parents.purity[place]),
            seed=seed + 10_000 + place,
            adapt=False,
        )
        rows.append(np.asarray(table.X)[0])
    return np.stack(rows)


_OWN, _REAL, _ALONE = partial(sampler_of, references=True), ("generator colorectal",), {"references": True}
METHODS = (
    Method(REFERENCE, ("generator semi-synthetic",), sampler_of, depends=_CODE),
    Method("histoscribe-references", ("generator semi-synthetic",), _OWN, _ALONE, _CODE),
    Method(REFERENCE, _REAL, to_liver, depends=_CODE),
    Method("histoscribe-tuned", _REAL, to_liver_tuned, depends=_CODE),
    Method(REFERENCE, ("generator components",), lambda seed: seed.generator.components(), depends=_CODE),
)
