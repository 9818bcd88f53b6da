"""Stains: from RGB light to the optical density of hematoxylin, eosin and what is left over."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from histoscribe.features.compiled import compiled

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


@cache
def optical_density(brightest: int) -> NDArray[np.float32]:
    """Optical density of every light intensity from 0 to `brightest`.

    Parameters
    ----------
    brightest : int
        The value of white.

    Returns
    -------
    ndarray of float32, shape (brightest + 1,)
        log10 of white over light, with one step of 255 added to both so that black stays finite.
    """
    step = brightest / 255
    light = np.arange(brightest + 1)
    density: NDArray[np.float32] = np.log10((brightest + step) / (light + step)).astype(np.float32)
    return density


def stain_maps(crops: NDArray[np.uint8], block: int = 1) -> NDArray[np.float32]:
    """Split the light of crops into amounts of stain.

    Parameters
    ----------
    crops : ndarray of uint8, shape (n, side, side, 3)
        RGB.
    block : int
        Light is averaged over `block` × `block` pixels before its logarithm is taken.

    Returns
    -------
    ndarray of float32, shape (3, n, side / block, side / block)
        Hematoxylin, eosin and residual; noise and foreign colours can make them negative.
    """
    count, side = len(crops), crops.shape[1] // block
    out = np.empty((3, count, side, side), dtype=np.float32)
    table = optical_density(255 * block * block)
    rows = np.ascontiguousarray(crops).reshape(count, crops.shape[1], -1)
    for number in range(count):
        _unmix(rows[number], block, table, _MATRIX, out[:, number])
    return out


@compiled
def _unmix(
    crop: NDArray[np.uint8],
    block: int,
    table: NDArray[np.float32],
    matrix: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Fill `out` (3, side, side) from the interleaved rows of one crop."""
    side, width = out.shape[1], crop.shape[1]
    light = np.empty(width, dtype=np.int32)
    density = np.empty((3, side), dtype=np.float32)
    for row in range(side):
        light[:] = 0
        for down in range(block):
            for place in range(width):
                light[place] += crop[row * block + down, place]
        for channel in range(3):
            for column in range(side):
                total = light[3 * block * column + channel]
                for along in range(1, block):
                    total += light[3 * (block * column + along) + channel]
                density[channel, column] = table[total]
        for stain in range(3):
            red, green, blue = matrix[0, stain], matrix[1, stain], matrix[2, stain]
            for column in range(side):
                # Written out, for a matrix product may sum in any order.
                amount = density[0, column] * red + density[1, column] * green
                out[stain, row, column] = amount + density[2, column] * blue
