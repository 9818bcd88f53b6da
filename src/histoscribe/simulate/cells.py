"""Cells: where their nuclei lie, of which kind they are and how they look."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from histoscribe.arrays import Floats, Wide
from histoscribe.simulate.fields import stream
from histoscribe.simulate.tissue import ADIPOSE, GLAND, IMMUNE, NECROSIS, STROMA, TUMOUR, Tissue, keep_apart

KINDS = ("tumour", "fibroblast", "t_cell", "b_cell", "macrophage", "epithelial", "adipocyte", "endothelial")
TUMOUR_CELL, FIBROBLAST, T_CELL, B_CELL, MACROPHAGE, EPITHELIAL, ADIPOCYTE, ENDOTHELIAL = range(len(KINDS))
EPITHELIUM_UM = 19.0

# Half the long axis in µm, axis ratio, density of chromatin, distance kept from the next nucleus in µm.
_LOOKS = np.array([
    (5.2, 0.78, 0.72, 7.8), (6.3, 0.26, 0.95, 5.5), (2.9, 0.94, 1.35, 4.6), (3.1, 0.92, 1.25, 4.8),
    (4.2, 0.72, 0.75, 7.0), (4.4, 0.58, 0.95, 5.8), (4.0, 0.35, 1.10, 6.0), (5.0, 0.30, 1.10, 5.5),
])  # fmt: skip

# Candidates per mm² of each kind (columns) in each region (rows), before neighbours are kept apart.
_DENSITY = np.zeros((6, len(KINDS)))
_DENSITY[TUMOUR, [TUMOUR_CELL, T_CELL, MACROPHAGE, ENDOTHELIAL]] = 6400, 420, 220, 90
_DENSITY[STROMA, [FIBROBLAST, T_CELL, B_CELL, MACROPHAGE, ENDOTHELIAL]] = 1500, 260, 60, 140, 230
_DENSITY[IMMUNE, [T_CELL, B_CELL, MACROPHAGE, FIBROBLAST, ENDOTHELIAL]] = 9000, 6500, 350, 250, 120
_DENSITY[NECROSIS, [TUMOUR_CELL, MACROPHAGE, T_CELL]] = 240, 320, 200
_DENSITY[ADIPOSE, [ADIPOCYTE, ENDOTHELIAL, MACROPHAGE]] = 330, 70, 30
_DENSITY[GLAND, [FIBROBLAST, T_CELL, B_CELL, ENDOTHELIAL]] = 1100, 380, 260, 140


@dataclass(frozen=True, eq=False)
class CellMap:
    """All cells of one section."""

    centres: Wide
    """Nuclei as (row, column) in µm, shape (cells, 2)."""
    kind: NDArray[np.intp]
    """Index into `KINDS`, shape (cells,)."""
    half_axes: Wide
    """Long and short half axis of the nucleus in µm, shape (cells, 2)."""
    angle: Wide
    """Direction of the long axis in radians from the column axis towards the row axis, shape (cells,)."""
    chromatin: Wide
    """Uptake of haematoxylin, about 1, shape (cells,)."""


def place_cells(tissue: Tissue, seed: int) -> CellMap:
    """Scatter cells with each region's densities, then give every nucleus its shape."""
    rng = stream("cells", seed)
    density = _DENSITY.copy()
    density[[TUMOUR, STROMA], T_CELL] *= tissue.lymphocytes**2
    points = rng.uniform(
        0, tissue.size_um, size=(rng.poisson(density.sum(1).max() * tissue.size_um**2 / 1e6), 2)
    )
    local = np.einsum("rn,rk->nk", tissue.share[:, *tissue.index(points)], density)
    lot = rng.random(len(points)) * density.sum(1).max()
    bounds = np.cumsum(local, axis=1)
    kind = (lot[:, None] >= bounds).sum(axis=1)
    wanted = (kind < len(KINDS)) & (tissue.inside[tissue.index(points)] > 5)
    wanted &= ~(gland_position(tissue, points)[0] < EPITHELIUM_UM + 3)
    points, kind = points[wanted], kind[wanted]

    rings, ring_angle = _gland_rings(tissue, rng)
    fixed = np.concatenate([np.zeros(len(points), bool), np.ones(len(rings), bool)])
    points = np.concatenate([points, rings])
    kind = np.concatenate([kind, np.full(len(rings), EPITHELIAL)])
    keep = keep_apart(rng, points, _LOOKS[kind, 3]) | fixed
    angle = tissue.angle[tissue.index(points)] + rng.normal(0, 0.25, len(points))
    angle = np.where((kind == FIBROBLAST) | (kind == ENDOTHELIAL), angle, rng.uniform(0, np.pi, len(points)))
    angle[fixed] = ring_angle + rng.normal(0, 0.12, len(rings))
    points, kind, angle = points[keep], kind[keep], angle[keep]

    here = tissue.index(points)
    grade = np.where(kind == TUMOUR_CELL, tissue.grade[here], 0.3)
    dying = (tissue.share[NECROSIS][here] > 0.5) & (kind == TUMOUR_CELL)
    long = _LOOKS[kind, 0] * np.exp(rng.normal(0, 0.08 + 0.16 * grade)) * (0.86 + 0.5 * grade)
    ratio = np.clip(_LOOKS[kind, 1] + rng.normal(0, 0.07, len(kind)) - 0.1 * grade, 0.16, 1)
    chromatin = _LOOKS[kind, 2] * np.exp(rng.normal(0, 0.1 + 0.15 * grade)) * (0.85 + 0.4 * grade)
    half_axes = np.stack([long, long * ratio], axis=1) * np.where(dying, 0.42, 1.0)[:, None]
    return CellMap(points, kind, half_axes, angle, chromatin * np.where(dying, 1.9, 1.0))


def gland_position(tissue: Tissue, points: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Distance of points to the wall of the nearest gland's lumen in µm, and the direction to it.

    Negative inside the lumen; infinite where the section has no glands.
    """
    glands = tissue.glands
    if not len(glands.centres):
        return np.full(len(points), np.inf, np.float32), np.zeros(len(points), np.float32)
    distance, which = cKDTree(glands.centres).query(points, distance_upper_bound=110.0)
    near = np.isfinite(distance)
    which = np.where(near, which, 0)
    offset = points - glands.centres[which]
    angle = np.arctan2(offset[:, 0], offset[:, 1]).astype(np.float32)
    wall = np.where(near, distance - glands.outline(which, angle), np.inf)
    return wall.astype(np.float32), angle


def _gland_rings(tissue: Tissue, rng: np.random.Generator) -> tuple[Wide, Wide]:
    """Nuclei at the foot of each gland's epithelium, with their long axis across the ring."""
    glands = tissue.glands
    length = 2 * np.pi * (glands.radius + 13)
    count = (length / 5.6).astype(int)
    which = np.repeat(np.arange(len(count)), count)
    rank = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    angle = (rank + rng.uniform(-0.2, 0.2, len(which))) * 2 * np.pi / np.maximum(count[which], 1)
    reach = glands.outline(which, angle.astype(np.float32)) + 12 + rng.normal(0, 1.4, len(which))
    points = glands.centres[which] + reach[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    inside = np.all((points > 0) & (points < tissue.size_um), axis=1)
    inside &= tissue.inside[tissue.index(points)] > 5
    return points[inside], angle[inside]
