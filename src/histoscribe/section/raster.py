"""Sections whose spots tile the plane, such as Visium HD bins and dense grids, as rasters."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histoscribe.arrays import Floats, Numbers, Pixels, Wide
from histoscribe.errors import SectionError
from histoscribe.section.lattice import unit_vectors
from histoscribe.section.model import Section

GAPLESS = 0.9
"""Least spot size over distance at which spots are drawn as a raster."""
SAME_LENGTH = 0.1
FURTHEST_OFF = 0.25
MOST_PIXELS = 200_000_000
_ENOUGH = 20_000
"""Spots that tell the steps of a raster, chosen at random; all are held against what these tell."""
_GRID_NAMES = re.compile(r"(?:r\d{1,9}+c\d{1,9}+(?:\n|$))++")


@dataclass(frozen=True, eq=False)
class Raster:
    """Where the spots of a section lie on a regular square raster."""

    shape: tuple[int, int]
    """Rows and columns."""
    pixel: NDArray[np.intp]
    """Flat index of each spot's pixel, row by row, shape (spots,)."""
    affine: Wide
    """From (row, column, 1) of a pixel's centre to (row, column, 1) in µm, shape (3, 3)."""

    @property
    def step_um(self) -> float:
        """Side of a pixel in µm."""
        return float(np.sqrt(abs(np.linalg.det(self.affine[:2, :2]))))

    def image(self, values: ArrayLike) -> Floats:
        """Lay one value per spot out as an image.

        Parameters
        ----------
        values : array, shape (spots,)
            In the order of the section's spots.

        Returns
        -------
        ndarray of float32, shape (rows, columns)
            NaN where there is no spot.

        Raises
        ------
        SectionError
            If there is not one value per spot.
        """
        return self._laid_out(np.asarray(values, dtype=np.float32), (), np.float32(np.nan))

    def picture(self, colours: ArrayLike) -> Pixels:
        """As `image`, of one colour per spot: RGBA from 0 to 1, shape (spots, 4).

        Returns uint8, shape (rows, columns, 4), clear where there is no spot.
        """
        return self._laid_out((np.asarray(colours) * 255 + 0.5).astype(np.uint8), (4,), np.uint8(0))

    def _laid_out(self, values: NDArray[Any], each: tuple[int, ...], empty: np.generic) -> NDArray[Any]:
        if values.shape != (len(self.pixel), *each):
            raise SectionError(f"{values.shape} values for {len(self.pixel)} spots")
        image = np.full((self.shape[0] * self.shape[1], *each), empty, dtype=values.dtype)
        image[self.pixel] = values
        return image.reshape(*self.shape, *each)


def raster_of(section: Section) -> Raster | None:
    """Find the raster that a section's spots form; None where they are no gapless square raster.

    Rows and columns are `obs["array_row"]` and `obs["array_col"]` (Visium HD bins), or come from names such
    as `r12c7` (grids that were predicted).
    """
    pitch = section.pitch_um
    if pitch is None or section.spot_um < GAPLESS * pitch:
        return None
    places = _places(section)
    if places is None or len(places) < 4:
        return None
    centres = section.centres_um
    some = np.random.default_rng(0).permutation(len(places))[:_ENOUGH]
    units = unit_vectors(places[some].astype(np.float64), centres[some])
    if units is None or np.any(np.abs(np.linalg.norm(units, axis=1) / pitch - 1) > SAME_LENGTH):
        return None
    if abs(units[0] @ units[1]) > SAME_LENGTH * pitch**2:
        return None
    first = places.min(axis=0)
    rows, columns = (int(side) for side in places.max(axis=0) - first + 1)
    if rows * columns > MOST_PIXELS:
        return None
    places = places - first
    origin = np.median(centres - places @ units, axis=0)
    if np.median(np.abs(centres - origin - places @ units)) > FURTHEST_OFF * pitch:
        return None
    pixel = places[:, 0] * columns + places[:, 1]
    if np.bincount(pixel).max() > 1:
        return None
    affine = np.eye(3)
    affine[:2, :2], affine[:2, 2] = units.T, origin
    return Raster((rows, columns), pixel.astype(np.intp), affine)


def _places(section: Section) -> Numbers | None:
    """Row and column of every spot, shape (spots, 2)."""
    obs = section.table.obs
    if {"array_row", "array_col"} <= set(obs.columns):
        try:
            places = obs[["array_row", "array_col"]].to_numpy(dtype=np.float64)
        except (TypeError, ValueError):
            return None
        return places.astype(np.int64) if np.all(np.abs(places) < 2**31) else None
    text = "\n".join(map(str, section.table.obs_names))
    if not _GRID_NAMES.fullmatch(text):
        return None
    return np.fromstring(text.replace("r", "").replace("c", " "), dtype=np.int64, sep=" ").reshape(-1, 2)
