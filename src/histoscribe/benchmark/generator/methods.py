"""The methods of a benchmark by name: the generator, its ablations, and the baselines."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoscribe.benchmark.generator.sampling import Asked, Made, Sampler
from histoscribe.errors import SettingError
from histoscribe.generator.cohort import Cohort
from histoscribe.progress import Progress

if TYPE_CHECKING:
    from histoscribe.bulk import BulkTable
    from histoscribe.generator import Generator

METHODS = (
    "histoscribe", "histoscribe-references", "conditional-vae", "wgan-gp", "diffusion", "linear-mixture",
    "identity",
)  # fmt: skip


def chosen_methods(names: list[str] | None) -> tuple[str, ...]:
    """The methods asked for, all by default.

    Raises
    ------
    SettingError
        If one is unknown.
    """
    unknown = sorted(set(names or ()) - set(METHODS))
    if unknown:
        raise SettingError(
            f"no method called {', '.join(unknown)}", remedy=f"choose from {', '.join(METHODS)}"
        )
    return METHODS if not names else tuple(name for name in METHODS if name in names)


def baseline(name: str) -> Callable[[Cohort, int], Sampler]:
    """A baseline's way to learn from a cohort, with a seed."""
    from histoscribe.benchmark.generator.baselines import conditional_vae, diffusion, parents, wgan

    return {
        "conditional-vae": conditional_vae.conditional_vae,
        "wgan-gp": wgan.wgan,
        "diffusion": diffusion.diffusion,
        "linear-mixture": parents.linear_mixture,
        "identity": parents.identity,
    }[name]


def fit_generator(train: Cohort, seed: int, progress: Progress) -> Generator:
    """The generator with its default settings."""
    from histoscribe.generator import Generator

    return Generator(seed=seed).fit(train, progress=progress)


def generator_sampler(generator: Generator, *, references: bool = False) -> Sampler:
    """Samples of a trained generator; `references` leaves the normal tissue to the model."""

    def sample(asked: Asked) -> Made:
        values = np.empty((len(asked.cancers), len(generator.genes)), dtype=np.float32)
        primaries = np.empty(len(values), dtype=asked.parents.names.dtype)
        pairs = sorted(set(zip(asked.cancers.tolist(), asked.sites.tolist(), strict=True)))
        for place, (cancer, site) in enumerate(pairs):
            rows = np.flatnonzero((asked.cancers == cancer) & (asked.sites == site))
            tissue = asked.parents.of("normal", site=site)
            table = generator.generate(
                as_bulk(asked.parents, asked.parents.of("primary", cancer=cancer)), site=site, cancer=cancer,
                normal=None if references else as_bulk(asked.parents, tissue), samples=len(rows),
                seed=asked.seed + 1000 * place, adapt=False,
            )  # fmt: skip
            values[rows], primaries[rows] = table.X, table.obs["primary"].to_numpy(dtype=str)
        return Made(values, primaries)

    return sample


def as_bulk(cohort: Cohort, rows: NDArray[np.int64]) -> BulkTable:
    """Samples of a cohort as a table that the generator takes."""
    import pandas as pd
    from anndata import AnnData

    from histoscribe.bulk import BulkTable

    table = AnnData(
        cohort.values[rows],
        obs=pd.DataFrame(index=cohort.names[rows]),
        var=pd.DataFrame(index=list(cohort.genes)),
    )
    return BulkTable("cohort", table, "log2", "symbol")
