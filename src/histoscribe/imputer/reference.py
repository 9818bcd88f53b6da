"""The reference memory: attention over training samples, solved in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from histoscribe.bulk.table import bulk_of
from histoscribe.errors import TableError
from histoscribe.imputer.units import learn_standard, standardise

if TYPE_CHECKING:
    import pandas as pd

    from histoscribe.bulk.table import Table

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

    Parameters
    ----------
    samples : Tensor of float32, shape (references, genes)
        Standardised, without NaN.
    """

    samples: Tensor

    def __init__(self, samples: Tensor) -> None:
        super().__init__()
        self.register_buffer("samples", samples)
        self._solved: dict[bytes, tuple[Tensor, float]] = {}

    def read(self, completed: Tensor, observed: Tensor, offered: Tensor) -> tuple[Tensor, Tensor]:
        """Expected values of all genes.

        Parameters
        ----------
        completed : Tensor of float32, shape (samples, genes)
            Observed values, and the Gaussian's expectation elsewhere.
        observed : Tensor of bool, shape (samples, genes)
        offered : Tensor of bool, shape (genes,)
            Genes of which the table has any value: the ones that samples are compared by.

        Returns
        -------
        values : Tensor of float32, shape (samples, genes)
        surprise : Tensor of float32, shape (samples,)
            Distance to the nearest reference over the typical distance of two references.
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


def choose_references(folds: NDArray[np.int64], limit: int, seed: int) -> NDArray[np.int64]:
    """Which training samples to keep, in order: all, or `limit` of them, new ones (fold 0 or more) first."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(folds))
    order = order[np.argsort(folds[order] < 0, kind="stable")]
    return np.sort(order[:limit])


def expect_classes(labelled: Table, labels: Sequence[str], table: Table) -> pd.DataFrame:
    """Tell the class of samples by the genes that they have.

    A class is restored like a gene that only the labelled samples have: one column for each, 1 where a sample
    is of it, read from the reference memory by the genes that both tables share. Raises `TableError` if
    labels and samples differ in number, there is one class only, or no gene is shared.

    Parameters
    ----------
    labelled : AnnData, BulkTable or Section
        Samples whose class is known.
    labels : sequence of str
        Their classes.
    table : AnnData, BulkTable or Section
        Samples to tell; holes count as the mean.

    Returns
    -------
    DataFrame, samples × classes
        Expected membership: about 0 to 1, the largest is the class.
    """
    import pandas as pd

    bulk, asked = bulk_of(labelled), bulk_of(table)
    names = np.asarray(labels, dtype=str)
    classes = np.unique(names)
    if len(names) != bulk.table.n_obs or len(classes) < 2:
        raise TableError(
            f"{len(names)} labels of {len(classes)} classes were given for {bulk.table.n_obs} samples",
            where=bulk.name,
            remedy="give one for each sample, and at least two classes",
        )
    standard, values, kept, _ = learn_standard(bulk)
    units = standardise(asked, standard, {}, adapt=False)
    member = (names[kept, None] == classes).astype(np.float32)
    share = member.mean(0)
    memory = ReferenceMemory(torch.from_numpy(np.hstack([np.nan_to_num(values), member - share])))
    shown = np.hstack([np.nan_to_num(units.values), np.zeros((len(units.values), len(classes)), np.float32)])
    offered = np.concatenate([units.places >= 0, np.zeros(len(classes), dtype=bool)])
    observed = np.broadcast_to(offered, shown.shape)
    with torch.inference_mode():
        found, _ = memory.read(
            torch.from_numpy(shown), torch.from_numpy(observed.copy()), torch.from_numpy(offered)
        )
    expected = found[:, -len(classes) :].numpy() + share
    return pd.DataFrame(expected, index=asked.table.obs_names, columns=list(classes))


def _squared(one: Tensor, other: Tensor) -> Tensor:
    products = one @ other.T
    lengths = (one**2).sum(1)[:, None] + (other**2).sum(1)[None]
    return (lengths - 2 * products).clamp_min(0.0)


def _matern(ratio: Tensor) -> Tensor:
    root = (3 * ratio + 1e-12).sqrt()
    return (1 + root) * torch.exp(-root)
