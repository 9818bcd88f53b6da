"""Painting nuclei: soft-edged, slightly irregular ellipses with rim, chromatin and nucleoli."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from histoscribe.simulate.cells import TUMOUR_CELL, Cells
from histoscribe.simulate.fields import Floats

_CHUNK = 1500
_DENSITY = 0.62


def paint_nuclei(cells: Cells, mpp: float, side: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Paint all nuclei on one canvas.

    Parameters
    ----------
    mpp : float
        µm per pixel.
    side : int
        Pixels along each side of the canvas.

    Returns
    -------
    haematoxylin, cover : ndarray of float32, shape (side, side)
        Stain uptake, and how much of each pixel a nucleus covers (0 to 1).
    """
    canvas, cover = np.zeros(side * side, np.float32), np.zeros(side * side, np.float32)
    radius = np.ceil(cells.half_axes[:, 0] * 1.2 / mpp + 1.5).astype(int)
    order = np.argsort(radius, kind="stable")
    for start in range(0, len(order), _CHUNK):
        members = order[start : start + _CHUNK]
        where, uptake, share = _patches(cells, members, int(radius[members].max()), mpp, side, rng)
        np.maximum.at(canvas, where, uptake)
        np.maximum.at(cover, where, share)
    return canvas.reshape(side, side), cover.reshape(side, side)


def _patches(
    cells: Cells, members: NDArray[np.intp], reach: int, mpp: float, side: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Canvas index, uptake and cover of every pixel of some nuclei, as three flat arrays."""
    count = len(members)
    centre = cells.centres[members] / mpp - 0.5
    corner = np.round(centre).astype(int)
    offset = np.arange(-reach, reach + 1, dtype=np.float32)
    away = (corner - centre).astype(np.float32)
    rows = offset[None, :, None] + away[:, 0, None, None]
    columns = offset[None, None, :] + away[:, 1, None, None]

    def column(values: NDArray[np.floating]) -> Floats:
        return np.asarray(values, dtype=np.float32).reshape(count, 1, 1)

    cosine, sine = column(np.cos(cells.angle[members])), column(np.sin(cells.angle[members]))
    long, short = (column(cells.half_axes[members, axis] / mpp) for axis in (0, 1))
    along = (columns * cosine + rows * sine) / long
    across = (rows * cosine - columns * sine) / short
    square = along**2 + across**2
    bean = column(rng.normal(0, 0.13, count))
    wave = column(rng.normal(0, 0.10, count))
    radius = np.sqrt(square + 1e-6)
    radius *= 1 + bean * along / radius + wave * along * across / (square + 1e-6)
    share = np.clip((1 - radius) * short / 0.9 + 0.5, 0, 1)

    tumour = column((cells.kind[members] == TUMOUR_CELL).astype(float))
    rim = np.exp(-((radius - 0.86) ** 2) / 0.02)
    clump = rng.standard_normal((count, 2 * reach + 1, 2 * reach + 1), dtype=np.float32)
    texture = 1 + (0.10 + 0.07 * tumour) * clump + (0.12 + 0.3 * tumour) * rim - 0.14 * tumour
    spot = [column(rng.uniform(-0.4, 0.4, count)) for _ in range(2)]
    nucleolus = np.exp(-(((along - spot[0]) * long) ** 2 + ((across - spot[1]) * short) ** 2) / 1.1)
    texture += 0.75 * tumour * nucleolus
    uptake = _DENSITY * column(cells.chromatin[members]) * share * texture

    at_row = corner[:, 0, None, None] + offset[None, :, None].astype(int)
    at_column = corner[:, 1, None, None] + offset[None, None, :].astype(int)
    seen = (at_row >= 0) & (at_row < side) & (at_column >= 0) & (at_column < side) & (share > 0)
    return (at_row * side + at_column)[seen], uptake[seen], share[seen]
