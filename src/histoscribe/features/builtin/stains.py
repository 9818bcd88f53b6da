"""Stains: from RGB light to the optical density of hematoxylin, eosin and what is left over."""

from functools import cache

import numpy as np

from histoscribe.arrays import Floats, Pixels
from histoscribe.features.builtin.compiled import compiled

STAINS = ("hematoxylin", "eosin", "residual")

# Ruifrok and Johnston, Anal Quant Cytol Histol 23 (2001): optical density of each stain in R, G, B.
_HEMATOXYLIN = (0.65, 0.70, 0.29)
_EOSIN = (0.07, 0.99, 0.11)


_ROWS = np.stack([_HEMATOXYLIN, _EOSIN, np.cross(_HEMATOXYLIN, _EOSIN)])
_MATRIX = np.linalg.inv(_ROWS / np.linalg.norm(_ROWS, axis=1, keepdims=True)).astype(np.float32)
"""Inverse of the stain matrix, shape (3 channels, 3 stains)."""


@cache
def optical_density(brightest: int) -> Floats:
    """Optical density of every light intensity from 0 to `brightest`, that of white, shape (brightest + 1,).

    log10 of white over light, with one step of 255 added to both so that black stays finite.
    """
    step = brightest / 255
    light = np.arange(brightest + 1)
    density: Floats = np.log10((brightest + step) / (light + step)).astype(np.float32)
    return density


def stain_maps(crops: Pixels, block: int = 1) -> Floats:
    """Split the light of crops into amounts of stain.

    `crops` (n, side, side, 3): RGB; `block`: 1, or 2: light is averaged over 2 × 2 pixels before its
    logarithm is taken. Returns (3, n, side / block, side / block): hematoxylin, eosin and residual; noise and
    foreign colours can make them negative.
    """
    count, side = len(crops), crops.shape[1] // block
    out = np.empty((3, count, side, side), dtype=np.float32)
    table = optical_density(255 * block * block)
    rows = np.ascontiguousarray(crops).reshape(count, crops.shape[1], -1)
    for number in range(count):
        _unmix(rows[number], block, table, _MATRIX, out[:, number])
    return out


@compiled
def _unmix(crop: Pixels, block: int, table: Floats, matrix: Floats, out: Floats) -> None:
    """Fill `out` (3, side, side) from the interleaved rows of one crop."""
    side, width = out.shape[1], crop.shape[1]
    light, total = np.empty(width, dtype=np.uint16), np.empty(width, dtype=np.uint16)
    density = np.empty((3, side), dtype=np.float32)
    for row in range(side):
        if block == 1:
            for place in range(width):
                total[place] = crop[row, place]
        else:
            upper, lower = crop[2 * row], crop[2 * row + 1]
            for place in range(width):
                light[place] = np.uint16(upper[place]) + np.uint16(lower[place])
            for place in range(width - 3):
                total[place] = light[place] + light[place + 3]
        first, second, third = density[0], density[1], density[2]
        for column in range(side):
            place = 3 * block * column
            first[column] = table[total[place]]
            second[column] = table[total[place + 1]]
            third[column] = table[total[place + 2]]
        for stain in range(3):
            red, green, blue, amount = matrix[0, stain], matrix[1, stain], matrix[2, stain], out[stain, row]
            for column in range(side):
                # Written out, for a matrix product may sum in any order.
                amount[column] = first[column] * red + second[column] * green + third[column] * blue
