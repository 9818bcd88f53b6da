"""Tumour and normal tissue in one piece: mixing on the linear scale, and reading the share back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PURITIES = np.linspace(0.1, 1.0, 19, dtype=np.float32)


def mix(
    tumour: NDArray[np.float32], normal: NDArray[np.float32], purity: NDArray[np.float32]
) -> NDArray[np.float32]:
    """log2 of `purity · 2^tumour + (1 − purity) · 2^normal`.

    Parameters
    ----------
    tumour, normal : ndarray of float32, shape (samples, genes)
        log2 of abundance.
    purity : ndarray of float32, shape (samples,)
        Share of tumour, 0 to 1.
    """
    share = np.asarray(purity, dtype=np.float32)[:, None]
    return np.asarray(np.log2(share * np.exp2(tumour) + (1 - share) * np.exp2(normal)), dtype=np.float32)


def estimate_purity(
    metastases: NDArray[np.float32], tumour: NDArray[np.float32], normal: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The share of tumour at which a mixture of two mean profiles lies nearest.

    Only the genes in which the two differ most tell it apart: the 300 with the largest difference.
    Distances are absolute, so that a programme that neither parent has weighs little.

    Parameters
    ----------
    metastases : ndarray of float32, shape (samples, genes)
        log2 of abundance, all of one cancer and one site.
    tumour, normal : ndarray of float32, shape (genes,)
        Mean primary of that cancer and mean normal tissue of that site.

    Returns
    -------
    ndarray of float32, shape (samples,)
        Among `PURITIES`.
    """
    telling = np.argsort(-np.abs(tumour - normal))[:300]
    count = len(PURITIES)
    grid = mix(
        np.repeat(tumour[None, telling], count, 0), np.repeat(normal[None, telling], count, 0), PURITIES
    )
    away = np.stack([np.abs(metastases[:, telling] - one).mean(1) for one in grid], axis=1)
    return np.asarray(PURITIES[away.argmin(1)], dtype=np.float32)
