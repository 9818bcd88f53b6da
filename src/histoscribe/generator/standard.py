"""The generator's own units: each gene centred and scaled as in the training metastases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LIMIT = 8.0
_LEAST_SD = 0.1


@dataclass(frozen=True, eq=False)
class Standard:
    """Genes of a model with their means and standard deviations among metastases.

    Parameters
    ----------
    genes : tuple of str
    mean, sd : ndarray of float32, shape (genes,)
        Of log2 abundances.
    """

    genes: tuple[str, ...]
    mean: NDArray[np.float32]
    sd: NDArray[np.float32]

    def scale(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """log2 abundances, shape (samples, genes), in units; outliers beyond 8 are cut."""
        return np.asarray(np.clip((values - self.mean) / self.sd, -_LIMIT, _LIMIT), dtype=np.float32)

    def unscale(self, units: NDArray[np.float32]) -> NDArray[np.float32]:
        """Units back to log2 abundances, none of them below 0."""
        return np.asarray(np.maximum(units * self.sd + self.mean, 0), dtype=np.float32)


def learn_standard(values: NDArray[np.float32], genes: tuple[str, ...]) -> Standard:
    """Means and standard deviations of log2 abundances, shape (samples, genes)."""
    sd = np.maximum(values.std(0), _LEAST_SD)
    return Standard(genes, values.mean(0).astype(np.float32), sd.astype(np.float32))
