"""Painting simulated tissue as haematoxylin and eosin on a bright-field scanner would show it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.spatial import cKDTree
from scipy.special import expit

from histoscribe.arrays import Floats, Pixels
from histoscribe.simulate.cells import EPITHELIUM_UM, TUMOUR_CELL, CellMap, gland_position
from histoscribe.simulate.fields import enlarge, smooth_field, stream
from histoscribe.simulate.tissue import ADIPOSE, GLAND, IMMUNE, NECROSIS, STROMA, TUMOUR, Tissue

# Optical density per unit of stain in red, green and blue: reference vectors of Macenko et al., ISBI 2009.
_HAEMATOXYLIN = (0.5626, 0.7201, 0.4062)
_EOSIN = (0.2159, 0.8012, 0.5581)
_COARSE_UM = 2.0
_CHUNK = 1500
_CHROMATIN = 0.62

# Haematoxylin and eosin between the nuclei of each region: cytoplasm, matrix, debris.
_GROUND = {
    TUMOUR: (0.20, 0.27),
    STROMA: (0.035, 0.31),
    IMMUNE: (0.15, 0.16),
    NECROSIS: (0.09, 0.40),
    GLAND: (0.04, 0.27),
}


@dataclass(frozen=True)
class Stain:
    """How one section took up its stains."""

    vectors: tuple[tuple[float, ...], tuple[float, ...]]
    """Optical density in red, green and blue per unit of haematoxylin and of eosin."""
    strength: tuple[float, float]
    """Factor on each stain."""
    glass: tuple[float, ...]
    """Colour of the empty slide, 0 to 255."""


def section_stain(seed: int, patient: str) -> Stain:
    """Draw a section's stain: most of the variation between patients, some between sections."""
    host, rng = stream("stain", patient), stream("stain", seed, patient)
    tilt = host.normal(0, 0.035, (2, 3)) + rng.normal(0, 0.012, (2, 3))
    haematoxylin, eosin = np.array([_HAEMATOXYLIN, _EOSIN]) + tilt
    strength = np.exp(host.normal(0, 0.13, 2) + rng.normal(0, 0.05, 2))
    glass = 243 + rng.normal(0, 1.5, 3)
    return Stain((tuple(haematoxylin), tuple(eosin)), (float(strength[0]), float(strength[1])), tuple(glass))


def render(tissue: Tissue, cells: CellMap, stain: Stain, mpp: float, seed: int) -> Pixels:
    """Paint a section at `mpp` µm per pixel: RGB, shape (rows, columns, 3)."""
    rng = stream("paint", seed)
    side = round(tissue.size_um / mpp)
    ground = [enlarge(layer, (side, side)) for layer in _ground(tissue, cells, rng)]
    # fine granularity of cytoplasm; a patch of it repeats, too irregular to be seen
    patch = gaussian_filter(rng.standard_normal((509, 509), dtype=np.float32), 1.1, mode="wrap")
    grain = np.tile(patch / patch.std(), (-(-side // 509),) * 2)[:side, :side]
    nuclei, cover = paint_nuclei(cells, mpp, side, rng)
    haematoxylin = ground[0] * (1 + 0.25 * grain) * (1 - 0.7 * cover) + nuclei
    eosin = ground[1] * (1 + 0.12 * grain) * (1 - 0.62 * cover)
    density = np.stack([haematoxylin * stain.strength[0], eosin * stain.strength[1]], axis=-1)
    vectors = np.array(stain.vectors, dtype=np.float32) * np.float32(2.15)
    light = np.exp(-(np.maximum(density, 0).reshape(-1, 2) @ vectors))
    light *= np.array(stain.glass, dtype=np.float32)
    pixels: Pixels = np.clip(light + 0.5, 0, 255).astype(np.uint8).reshape(side, side, 3)
    return pixels


def paint_nuclei(cells: CellMap, mpp: float, side: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Stain uptake of all nuclei on one canvas of `mpp` µm per pixel, and how much of each pixel one covers.

    Both have shape (side, side); cover is 0 to 1.
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


def _ground(tissue: Tissue, cells: CellMap, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Haematoxylin and eosin of everything but the nuclei, at `_COARSE_UM` per pixel."""
    side = round(tissue.size_um / _COARSE_UM)
    shape = (side, side)
    share = {region: enlarge(tissue.share[region], shape) for region in range(len(tissue.share))}
    fibres = _fibres(enlarge(np.cos(tissue.angle), shape), enlarge(np.sin(tissue.angle), shape), rng)
    patches, crumbs = smooth_field(rng, shape, 18), smooth_field(rng, shape, 3.5)
    tint, rim = _cell_bodies(cells, side, rng)

    haematoxylin, eosin = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for region, (blue, pink) in _GROUND.items():
        haematoxylin += blue * share[region]
        eosin += pink * share[region]
    stringy = share[STROMA] + 0.9 * share[GLAND]
    eosin *= 1 + stringy * (0.26 * fibres + 0.12 * patches)
    eosin *= 1 + share[NECROSIS] * (0.14 * patches - 0.22 * np.abs(crumbs))
    haematoxylin *= 1 + share[NECROSIS] * 0.6 * crumbs
    bodies = share[TUMOUR] + 0.5 * share[IMMUNE]
    haematoxylin *= 1 + bodies * 0.22 * tint
    eosin *= 1 + bodies * (0.28 * tint - 0.4 * rim)
    cleft = np.exp(-(((share[TUMOUR] - 0.5) / 0.22) ** 2))
    eosin *= 1 - 0.55 * cleft * np.clip(0.4 + 0.5 * patches, 0, 1)
    eosin = eosin * (1 - 0.4 * stringy * expit((-1.25 - fibres) * 8))

    eosin += share[ADIPOSE] * _fat_walls(share[ADIPOSE], rng)
    _paint_glands(tissue, haematoxylin, eosin, share[GLAND])
    border = np.clip(enlarge(tissue.inside, shape) / 6 + 0.5, 0, 1)
    return np.asarray(haematoxylin * border, np.float32), np.asarray(eosin * border, np.float32)


def _fibres(along_columns: Floats, along_rows: Floats, rng: np.random.Generator) -> Floats:
    """Noise smeared along the fibres' direction (line integral convolution), standard deviation 1."""
    shape = along_rows.shape
    noise = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 0.9).ravel()
    norm = np.hypot(along_columns, along_rows) + 1e-6
    step = 2.0 * np.stack([along_rows / norm, along_columns / norm]).astype(np.float32)
    start = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).astype(np.float32)
    total = np.zeros(shape, np.float32)
    for sign in (-1, 1):
        at = start.copy()
        for _ in range(7):
            rows = np.clip(at[0], 0, shape[0] - 1).astype(np.int32)
            columns = np.clip(at[1], 0, shape[1] - 1).astype(np.int32)
            here = rows * shape[1] + columns
            total += noise[here]
            at += sign * step.reshape(2, -1)[:, here]
    return np.asarray((total - total.mean()) / total.std(), dtype=np.float32)


def _cell_bodies(cells: CellMap, side: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """A tint for each cell's cytoplasm (standard deviation 1) and the rim between neighbouring cells."""
    seeds = np.full((side, side), -1, dtype=np.int32)
    at = np.minimum((cells.centres / _COARSE_UM).astype(int), side - 1)
    seeds[at[:, 0], at[:, 1]] = np.arange(len(at))
    nearest = distance_transform_edt(seeds < 0, return_distances=False, return_indices=True)
    owner = seeds[nearest[0], nearest[1]]
    tint = rng.standard_normal(len(at), dtype=np.float32)[owner]
    edge = (owner != np.roll(owner, 1, axis=0)) | (owner != np.roll(owner, 1, axis=1))
    edge &= (cells.kind == TUMOUR_CELL)[owner]
    return gaussian_filter(tint, 0.8), gaussian_filter(edge.astype(np.float32), 0.6)


def _fat_walls(share: Floats, rng: np.random.Generator) -> Floats:
    """Thin walls between empty fat cells, from the two nearest of scattered centres."""
    walls = np.zeros(share.shape, np.float32)
    rows, columns = np.nonzero(share > 0.02)
    if not len(rows):
        return walls
    centres = rng.uniform(0, share.shape[0], size=(int((share.shape[0] * _COARSE_UM / 52) ** 2) + 8, 2))
    distance, _ = cKDTree(centres).query(np.stack([rows, columns], axis=1), k=2)
    gap = (distance[:, 1] - distance[:, 0]) * _COARSE_UM
    walls[rows, columns] = 0.30 * np.exp(-((gap / 4.5) ** 2)) + 0.004
    return walls


def _paint_glands(tissue: Tissue, haematoxylin: Floats, eosin: Floats, share: Floats) -> None:
    """Epithelium and empty lumen of each gland, painted over the ground."""
    rows, columns = np.nonzero(share > 0.02)
    points = (np.stack([rows, columns], axis=1) + 0.5) * _COARSE_UM
    wall, _ = gland_position(tissue, points)
    lumen, within = (expit((edge - wall) / 1.2) for edge in (0.0, EPITHELIUM_UM))
    ring = within - lumen
    apical = np.exp(-np.clip(wall, 0, 60) / 5)
    haematoxylin[rows, columns] = haematoxylin[rows, columns] * (1 - within) + 0.10 * ring
    eosin[rows, columns] *= 1 - within
    eosin[rows, columns] += ring * (0.21 + 0.2 * apical) + 0.02 * lumen


def _patches(
    cells: CellMap, members: NDArray[np.intp], reach: int, mpp: float, side: int, rng: np.random.Generator
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
    uptake = _CHROMATIN * column(cells.chromatin[members]) * share * texture

    at_row = corner[:, 0, None, None] + offset[None, :, None].astype(int)
    at_column = corner[:, 1, None, None] + offset[None, None, :].astype(int)
    seen = (at_row >= 0) & (at_row < side) & (at_column >= 0) & (at_column < side) & (share > 0)
    return (at_row * side + at_column)[seen], uptake[seen], share[seen]
