"""Where which kind of tissue lies: compartments grown from smooth random fields."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from scipy.spatial import cKDTree
from scipy.special import expit

from histoscribe.arrays import Floats, Mask, Wide
from histoscribe.simulate.fields import smooth_field, stream

REGIONS = ("tumour", "stroma", "immune", "necrosis", "adipose", "gland")
GRID_UM = 4.0
TUMOUR, STROMA, IMMUNE, NECROSIS, ADIPOSE, GLAND = range(len(REGIONS))


@dataclass(frozen=True, eq=False)
class Glands:
    """Normal glands: rings of epithelium around a lumen."""

    centres: Wide
    """As (row, column) in µm, shape (glands, 2)."""
    radius: Wide
    """Of the lumen in µm, shape (glands,)."""
    phase: Wide
    """Turns the outline, which is not a perfect circle, shape (glands,)."""

    def outline(self, which: NDArray[np.intp], angle: Floats) -> Floats:
        """Radius of the lumen in µm at `angle` for the glands `which`."""
        turned = angle + self.phase[which]
        shape = 1 + 0.22 * np.cos(2 * turned) + 0.1 * np.cos(3 * turned + 1)
        return np.asarray(self.radius[which] * shape, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Tissue:
    """The map of one section on a grid of `GRID_UM`."""

    size_um: float
    """Side of the square field."""
    share: Floats
    """How much of each grid cell belongs to each region; sums to 1. Shape (regions, rows, columns)."""
    inside: Floats
    """Positive inside the tissue: distance to its border in µm, negative outside. Shape (rows, columns)."""
    grade: Floats
    """Tumour grade, 0 to 1: larger, more irregular, faster dividing nuclei. Shape (rows, columns)."""
    hypoxia: Floats
    """1 at a necrosis, falling with distance, shape (rows, columns)."""
    hidden: Floats
    """A gradient of 0 to 1 that leaves no trace in the image, shape (rows, columns)."""
    angle: Floats
    """Direction of the fibres in radians, shape (rows, columns)."""
    lymphocytes: float
    """How many lymphocytes infiltrate, 1 being the average patient."""
    glands: Glands

    def index(self, points_um: NDArray[np.floating]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Grid rows and columns of points (points, 2) given as (row, column) in µm."""
        cells = np.clip((points_um / GRID_UM).astype(np.intp), 0, self.inside.shape[0] - 1)
        return cells[:, 0], cells[:, 1]


def grow_tissue(seed: int, patient: str, size_um: float) -> Tissue:
    """Grow the map of one section; a patient's sections share their make-up, not their map."""
    rng, host = stream("tissue", seed, patient), stream("make-up", patient)
    side = round(size_um / GRID_UM)
    shape = (side, side)

    def field(scale_um: float) -> Floats:
        return smooth_field(rng, shape, scale_um / GRID_UM)

    tumour_rich, lymphocytes = host.uniform(0.35, 0.8), host.uniform(0.6, 1.6)
    ragged = 0.04 * field(30)
    score = np.full((len(REGIONS), *shape), -4.0, dtype=np.float32)
    compartment, nests = field(230) + tumour_rich, field(38)
    score[TUMOUR] = np.minimum(compartment, 0.95 + nests) + 0.1
    score[STROMA] = 0.55 + ragged
    score[IMMUNE] = field(75) * 1.15 - 1.45 + 0.55 * np.exp(-((compartment - 0.4) ** 2) / 0.2) * lymphocytes
    score[NECROSIS] = np.where(compartment > 0.9, field(90) * 1.4 - 0.5 + 0.35 * compartment, -4)
    score[ADIPOSE] = field(200) * 1.4 - 0.55 - 0.9 * compartment
    score[GLAND] = field(190) * 1.5 - 0.35 - 0.8 * compartment
    share = np.exp((score - score.max(axis=0)) / 0.05)
    share /= share.sum(axis=0)

    hypoxia = distance_transform_edt(share[NECROSIS] < 0.5, sampling=GRID_UM)
    hypoxia = np.exp(-hypoxia / 140) if (share[NECROSIS] >= 0.5).any() else np.zeros(shape)
    ramp = np.linspace(-1, 1, side, dtype=np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    hidden = field(320) + 1.2 * (np.cos(turn) * ramp[:, None] + np.sin(turn) * ramp)
    return Tissue(
        size_um=size_um,
        share=share.astype(np.float32),
        inside=_outline(rng, side, field(110)),
        grade=_squash(1.3 * field(260) + host.normal(0, 0.5)),
        hypoxia=hypoxia.astype(np.float32),
        hidden=_squash(1.5 * hidden),
        angle=(1.6 * field(150) + rng.uniform(0, np.pi)).astype(np.float32),
        lymphocytes=lymphocytes,
        glands=_place_glands(rng, share[GLAND], size_um),
    )


def _squash(values: NDArray[np.floating]) -> Floats:
    return np.asarray(expit(values), dtype=np.float32)


def _outline(rng: np.random.Generator, side: int, wobble: Floats) -> Floats:
    """Signed distance in µm to the border of a rounded, wavy piece of tissue."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    stretch = rng.uniform(0.86, 0.97, size=2)
    rows, columns = axis[:, None] / stretch[0], axis / stretch[1]
    within = 1 - (np.abs(rows) ** 3.2 + np.abs(columns) ** 3.2) ** (1 / 3.2) + 0.05 * wobble
    edge = np.minimum(1 - np.abs(axis[:, None]), 1 - np.abs(axis)) - 0.025
    solid = np.minimum(within, edge) > 0
    signed = distance_transform_edt(solid) - distance_transform_edt(~solid)
    return np.asarray(gaussian_filter(signed, 1.5) * GRID_UM, dtype=np.float32)


def _place_glands(rng: np.random.Generator, share: Floats, size_um: float) -> Glands:
    points = rng.uniform(0, size_um, size=(int((size_um / 55) ** 2), 2))
    cells = np.minimum((points / GRID_UM).astype(int), share.shape[0] - 1)
    points = points[share[cells[:, 0], cells[:, 1]] > 0.6]
    points = points[keep_apart(rng, points, 118.0)]
    count = len(points)
    return Glands(points, rng.uniform(15, 33, size=count), rng.uniform(0, 2 * np.pi, size=count))


def keep_apart(rng: np.random.Generator, points: Wide, distance: float | Wide) -> Mask:
    """Which of the points (points, 2) stay when each keeps its `distance` (same unit) from the rest.

    None stays that has a stronger neighbour within it (Matérn's second process).
    """
    keep = np.ones(len(points), dtype=bool)
    if len(points) < 2:
        return keep
    reach = np.broadcast_to(np.asarray(distance, dtype=np.float64), len(points))
    strength = rng.random(len(points))
    pairs = cKDTree(points).query_pairs(float(reach.max()), output_type="ndarray")
    apart = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    pairs = pairs[apart < reach[pairs].mean(axis=1)]
    first_wins = strength[pairs[:, 0]] > strength[pairs[:, 1]]
    keep[np.where(first_wins, pairs[:, 1], pairs[:, 0])] = False
    return keep
