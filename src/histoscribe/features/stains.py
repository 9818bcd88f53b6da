"""Stains: from RGB light to the optical density of hematoxylin, eosin and what is left over."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STAINS = ("hematoxylin", "eosin", "residual")

# Ruifrok and Johnston, Anal Quant Cytol Histol 23 (2001): optical density of each stain in R, G, B.
_HEMATOXYLIN = (0.65, 0.70, 0.29)
_EOSIN = (0.07, 0.99, 0.11)


def _unmixing() -> NDArray[np.float32]:
    """Inverse of the stain matrix, shape (3 channels, 3 stains)."""
    first, second = np.array(_HEMATOXYLIN), np.array(_EOSIN)
    rows = np.stack([first, second, np.cross(first, second)])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.linalg.inv(rows).astype(np.float32)


_MATRIX = _unmixing()


def optical_density(light: NDArray[np.unsignedinteger], brightest: int) -> NDArray[np.float32]:
    """Optical density of integer light intensities, by table.

    Parameters
    ----------
    light : ndarray of unsigned integers, any shape
        0 to `brightest`.
    brightest : int
        The value of white.

    Returns
    -------
    ndarray of float32, the same shape
        log10 of white over light, with one step of 255 added to both so that black stays finite.
    """
    step = brightest / 255
    table = np.log10((brightest + step) / (np.arange(brightest + 1) + step)).astype(np.float32)
    density: NDArray[np.float32] = table[light]
    return density


def unmix(density: NDArray[np.float32]) -> NDArray[np.float32]:
    """Split optical density into stains.

    Parameters
    ----------
    density : ndarray of float32, shape (3, ...)
        Optical density of red, green and blue.

    Returns
    -------
    ndarray of float32, shape (3, ...)
        Amounts of hematoxylin, eosin and residual; noise and foreign colours can make them negative.
    """
    red, green, blue = density
    out = np.empty_like(density)
    for stain in range(3):
        # Written out: a matrix product may sum in another order for another number of crops.
        np.multiply(red, _MATRIX[0, stain], out=out[stain])
        out[stain] += green * _MATRIX[1, stain]
        out[stain] += blue * _MATRIX[2, stain]
    return out
