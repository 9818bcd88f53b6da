"""What a seed of the generator's benchmark holds, and what its methods are asked for and give."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Numbers
from histoscribe.bulk import BulkTable
from histoscribe.generator.cohort import Cohort
from histoscribe.generator.parents import draw_of
from histoscribe.progress import Progress

if TYPE_CHECKING:
    from histoscribe.generator import Generator
    from histoscribe.simulate.metastases import Bed


@dataclass(frozen=True, eq=False)
class Request:
    """Metastases to generate, and whom from."""

    parents: Cohort
    """Primaries and normal tissues."""
    cancers: NDArray[np.str_]
    sites: NDArray[np.str_]
    """`cancers` and `sites`: shape (samples,)."""
    seed: int

    def draw_parents(self) -> tuple[Numbers, Numbers]:
        """A random primary of each cancer and normal tissue of each site, as rows of the parents."""
        random, parents = np.random.default_rng(self.seed), self.parents
        of_cancer = np.where(parents.kinds == "primary", parents.cancers, "")
        of_site = np.where(parents.kinds == "normal", parents.sites, "")
        return draw_of(of_cancer, self.cancers, random), draw_of(of_site, self.sites, random)


@dataclass(frozen=True, eq=False)
class Profiles:
    """What a method generated."""

    values: Floats
    """log2 of abundance, shape (samples, genes)."""
    primaries: NDArray[np.str_] | None = None
    """Name of the primary of each sample; None where the method has no parents. Shape (samples,)."""


Sampler = Callable[[Request], Profiles]


@dataclass(eq=False)
class Seed:
    """An opened fold: a bed whose parts have no patient in common, and the generator trained on it once."""

    bed: Bed
    cohort: Cohort
    """tcga11."""
    data: Path
    """The folder of real data."""
    progress: Progress = field(default_factory=Progress)
    fit_seconds: float | None = None

    @property
    def seed(self) -> int:
        """Of the bed and of every method."""
        return self.bed.seed

    @cached_property
    def generator(self) -> Generator:
        """The product with its default settings, trained on the bed."""
        start = time.perf_counter()
        model = fit_generator(self.bed.train, self.seed, self.progress)
        self.fit_seconds = time.perf_counter() - start
        return model


def fit_generator(train: Cohort, seed: int, progress: Progress) -> Generator:
    """The generator with its default settings."""
    from histoscribe.generator import Generator

    return Generator(seed=seed).fit(train, progress=progress)


def as_bulk(cohort: Cohort, rows: Numbers) -> BulkTable:
    """Samples of a cohort as a table that the generator takes."""
    obs, var = pd.DataFrame(index=cohort.names[rows]), pd.DataFrame(index=list(cohort.genes))
    return BulkTable("cohort", AnnData(cohort.values[rows], obs=obs, var=var), "log2", "symbol")
