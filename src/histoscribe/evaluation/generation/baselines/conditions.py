"""What the parentless baselines share: standardised training metastases, classes as one-hot vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.generator.cohort import Cohort
from histoscribe.generator.standard import Standard, learn_standard


@dataclass(frozen=True, eq=False)
class Conditions:
    """Real metastases to learn from.

    Parameters
    ----------
    standard : Standard
    profiles : Tensor, shape (metastases, genes)
        In units.
    labels : Tensor, shape (metastases, cancers + sites)
        Two ones in each row.
    cancers, sites : tuple of str
    """

    standard: Standard
    profiles: torch.Tensor
    labels: torch.Tensor
    cancers: tuple[str, ...]
    sites: tuple[str, ...]

    def encode(self, cancers: NDArray[np.str_], sites: NDArray[np.str_]) -> torch.Tensor:
        """One-hot rows for cancers and sites."""
        return _one_hot(self.cancers, self.sites, cancers, sites)


def conditions_of(train: Cohort) -> Conditions:
    """The metastases of a cohort and their classes."""
    met = train.take(train.of("metastasis"))
    standard = learn_standard(met.values, met.genes)
    cancers, sites = (tuple(np.unique(column).tolist()) for column in (met.cancers, met.sites))
    labels = _one_hot(cancers, sites, met.cancers, met.sites)
    return Conditions(standard, torch.from_numpy(standard.scale(met.values)), labels, cancers, sites)


def _one_hot(
    cancers: tuple[str, ...], sites: tuple[str, ...], of_cancer: NDArray[np.str_], of_site: NDArray[np.str_]
) -> torch.Tensor:
    labels = np.zeros((len(of_cancer), len(cancers) + len(sites)), dtype=np.float32)
    rows = np.arange(len(labels))
    labels[rows, [cancers.index(str(one)) for one in of_cancer]] = 1
    labels[rows, [len(cancers) + sites.index(str(one)) for one in of_site]] = 1
    return torch.from_numpy(labels)
