"""The reference memory: attention over training samples, solved in closed form."""

import numpy as np
import torch
from torch import Tensor

from histoscribe.arrays import Numbers

WIDTH = 2.0
NUGGET = 0.003
_ROUNDS = 2


class ReferenceMemory(torch.nn.Module):
    """Expression of the training samples, read by how alike a new sample is.

    A Gaussian process over samples with a Matérn 3/2 covariance (Rasmussen and Williams 2006, chapter
    4): non-linear where the conditional Gaussian is linear. Two ways to read it. Genes that a whole
    table lacks are left out of the comparison, and the weights are solved for the genes at hand.
    Holes of single samples are filled with the Gaussian's expectation first, so that one solve
    serves every pattern; a second round starts from the first one's answer.
    Width, nugget and rounds were chosen as the noise of the factors was, on the same split.

    `samples` (references, genes): standardised, without NaN.
    """

    samples: Tensor

    def __init__(self, samples: Tensor) -> None:
        super().__init__()
        self.register_buffer("samples", samples)
        self._solved: dict[bytes, tuple[Tensor, float]] = {}

    def read(self, completed: Tensor, observed: Tensor, offered: Tensor) -> tuple[Tensor, Tensor]:
        """Expected values of all genes, shape (samples, genes), and how surprising each sample is (samples,).

        That is its distance to the nearest reference over the typical distance of two references.

        `completed` (samples, genes): what is `observed`, and the Gaussian's expectation elsewhere; `offered`
        (genes,): those of which the table has any value, which samples are compared by.
        """
        weights, scale = self._weights(offered)
        centres = self.samples[:, offered]
        current, values = completed, completed
        distance = torch.empty(0)
        for _ in range(_ROUNDS):
            distance = _squared(current[:, offered], centres)
            values = _matern(distance / (WIDTH * scale)) @ weights
            current = torch.where(observed, completed, values)
        return values, (distance.min(dim=1).values / scale).sqrt()

    def _weights(self, offered: Tensor) -> tuple[Tensor, float]:
        """Kernel weights for these genes, the last ones kept; ordinary tensors in every mode."""
        key = np.packbits(offered.numpy()).tobytes()
        if key not in self._solved:
            with torch.inference_mode(False), torch.no_grad():
                centres = self.samples[:, offered.clone()]
                distance = _squared(centres, centres)
                scale = float(distance[~torch.eye(len(distance), dtype=torch.bool)].median()) or 1.0
                kernel = _matern(distance / (WIDTH * scale)).double()
                kernel.diagonal().add_(NUGGET)
                factor = torch.linalg.cholesky(kernel)
                weights = torch.cholesky_solve(self.samples.double(), factor).float()
            self._solved = {key: (weights, scale)}
        return self._solved[key]


def choose_references(folds: Numbers, limit: int, seed: int) -> Numbers:
    """Which training samples to keep, in order: all, or `limit` of them, new ones (fold 0 or more) first."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(folds))
    order = order[np.argsort(folds[order] < 0, kind="stable")]
    return np.sort(order[:limit])


def _squared(one: Tensor, other: Tensor) -> Tensor:
    products = one @ other.T
    lengths = (one**2).sum(1)[:, None] + (other**2).sum(1)[None]
    return (lengths - 2 * products).clamp_min(0.0)


def _matern(ratio: Tensor) -> Tensor:
    root = (3 * ratio + 1e-12).sqrt()
    return (1 + root) * torch.exp(-root)
