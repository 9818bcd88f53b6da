"""What the parentless baselines share: whitened components of training metastases, and their classes.

All three model the same 64 principal components; what these leave out is drawn from the generator's own noise
model, so that no baseline is told apart by its smoothness alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from histoscribe.benchmark.generator.bed import Profiles, Request
from histoscribe.generator.cohort import Cohort
from histoscribe.generator.metgen import learn_standard
from histoscribe.generator.network import Texture
from histoscribe.models.standard import Standard

COMPONENTS = 64


@dataclass(frozen=True, eq=False)
class Conditions:
    """Real metastases to learn from.

    Parameters
    ----------
    points : Tensor, shape (metastases, components)
        Whitened: zero mean, unit variance.
    labels : Tensor, shape (metastases, cancers + sites)
        Two ones in each row.
    axes : Tensor, shape (components, genes)
        From points to profiles, in units.
    middle : Tensor, shape (genes,)
    standard : Standard
    texture : Texture
    cancers, sites : tuple of str
    """

    points: torch.Tensor
    labels: torch.Tensor
    axes: torch.Tensor
    middle: torch.Tensor
    standard: Standard
    texture: Texture
    cancers: tuple[str, ...]
    sites: tuple[str, ...]

    def encode(self, request: Request) -> torch.Tensor:
        """One-hot rows for what is asked."""
        return _one_hot(self.cancers, self.sites, request.cancers, request.sites)

    def expand(self, points: torch.Tensor, noise: torch.Generator) -> Profiles:
        """Profiles from whitened components."""
        units = self.middle + points @ self.axes + self.texture.draw(len(points), noise)
        return Profiles(self.standard.undo(units.numpy()))


def conditions_of(train: Cohort) -> Conditions:
    """The metastases of a cohort, whitened, and their classes."""
    met = train.take(train.of("metastasis"))
    standard = learn_standard(met.values, met.genes)
    profiles = torch.from_numpy(standard.apply(met.values))
    middle = profiles.mean(0)
    rank = min(COMPONENTS, len(profiles) - 1)
    left, strengths, right = torch.svd_lowrank(profiles - middle, q=rank, niter=4)
    size = len(profiles) ** 0.5
    points, axes = left * size, (right * strengths / size).T
    texture = Texture(len(met.genes))
    rest = (profiles - middle - points @ axes).numpy()
    texture.fit(rest, rest)
    cancers, sites = (tuple(np.unique(column).tolist()) for column in (met.cancers, met.sites))
    labels = _one_hot(cancers, sites, met.cancers, met.sites)
    return Conditions(points, labels, axes, middle, standard, texture, cancers, sites)


def _one_hot(
    cancers: tuple[str, ...], sites: tuple[str, ...], of_cancer: NDArray[np.str_], of_site: NDArray[np.str_]
) -> torch.Tensor:
    labels = np.zeros((len(of_cancer), len(cancers) + len(sites)), dtype=np.float32)
    rows = np.arange(len(labels))
    labels[rows, np.searchsorted(cancers, of_cancer)] = 1
    labels[rows, len(cancers) + np.searchsorted(sites, of_site)] = 1
    return torch.from_numpy(labels)
