"""What every method is asked for, and how its parents are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from histoscribe.generator.cohort import Cohort


@dataclass(frozen=True, eq=False)
class Asked:
    """Metastases to generate, and whom from.

    Parameters
    ----------
    parents : Cohort
        Primaries and normal tissues.
    cancers, sites : ndarray of str, shape (samples,)
    seed : int
    """

    parents: Cohort
    cancers: NDArray[np.str_]
    sites: NDArray[np.str_]
    seed: int


@dataclass(frozen=True, eq=False)
class Made:
    """What a method generated.

    Parameters
    ----------
    values : ndarray of float32, shape (samples, genes)
        log2 of abundance.
    primaries : ndarray of str, shape (samples,), or None
        Name of the primary of each sample; None where the method has no parents.
    """

    values: NDArray[np.float32]
    primaries: NDArray[np.str_] | None = None


Sampler = Callable[[Asked], Made]


def draw_parents(asked: Asked) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A random primary of each cancer and normal tissue of each site, as rows of the parents."""
    random = np.random.default_rng(asked.seed)
    of_cancer = {c: asked.parents.of("primary", cancer=str(c)) for c in np.unique(asked.cancers)}
    of_site = {s: asked.parents.of("normal", site=str(s)) for s in np.unique(asked.sites)}
    primaries = np.array([random.choice(of_cancer[c]) for c in asked.cancers])
    normals = np.array([random.choice(of_site[s]) for s in asked.sites])
    return primaries, normals
