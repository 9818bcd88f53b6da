"""What tracing a gene brings: maps of its reaches, of a descriptor, of the tiles behind a spot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoscribe.widgets.layers.colours import DIFFERENCE, Limits
from histoscribe.widgets.layers.maps import Map

if TYPE_CHECKING:
    from histoscribe.predictor import Attribution, Predictor
    from histoscribe.section import Section

UNIT = "log expression"
REACH, DESCRIPTOR, BEHIND = "reach", "descriptor", "tiles behind"
DIFFERENT = 0.05
"""Mean difference of log expression above which the image is no longer what was predicted from."""


@dataclass(frozen=True, eq=False)
class Described:
    """A prediction's model and tiles, as found and described once more.

    Parameters
    ----------
    section : Section
        The prediction.
    folder : Path
        The model's.
    predictor : Predictor
    names : tuple of str
        What each descriptor is.
    features : ndarray of float32, shape (tiles, d)
    slide : ndarray of float32, shape (other tiles, d), or None
        Tiles all over the slide, where the prediction was made of a part of it.
    off : float
        Mean difference of what these tiles predict from what the section holds, in log expression.
    """

    section: Section
    folder: Path
    predictor: Predictor
    names: tuple[str, ...]
    features: NDArray[np.float32]
    slide: NDArray[np.float32] | None
    off: float


@dataclass(frozen=True, eq=False)
class Traced:
    """Where a gene comes from."""

    described: Described
    found: Attribution

    @property
    def limits(self) -> Limits:
        """Limits symmetric about zero, common to all reaches."""
        most = float(np.percentile(np.abs(self.found.by_reach), 99)) or 1.0
        return -most, most

    def reaches(self) -> list[Map]:
        """What the own tile and each reach around it bring, the own tile last."""
        pitch, maps = self.found.pitch_um, []
        for place, reach in enumerate(self.found.reaches):
            far = "" if place == 0 else f", {self.found.radii[place - 1] * pitch:.0f} µm"
            title = f"{self.found.gene} from {reach}{far}"
            values = self.found.by_reach[:, place]
            kind, gene, legend = f"{REACH} {place}", self.found.gene, f"{self.found.gene} by reach, {UNIT}"
            maps.append(Map(kind, title, UNIT, values, self.limits, DIFFERENCE, gene, legend=legend))
        return maps[::-1]

    def descriptor(self, name: str) -> Map:
        """What one descriptor brings to each spot."""
        values = self.found.by_descriptor[:, self.described.names.index(name)]
        title, legend = f"{self.found.gene} from {name}", f"{self.found.gene} by descriptor, {UNIT}"
        return Map(DESCRIPTOR, title, UNIT, values, _about_zero(values), DIFFERENCE, legend=legend)

    def behind(self, row: int) -> Map:
        """What each tile brings to one spot; NaN for those that it does not look at."""
        brought = self.found.tiles_behind(row)
        values = np.where(brought == 0, np.nan, brought)
        spot = self.described.section.table.obs_names[row]
        title, legend = f"{self.found.gene} at {spot}, tiles behind it", f"{self.found.gene} by tile, {UNIT}"
        return Map(BEHIND, title, UNIT, values, _about_zero(values), DIFFERENCE, legend=legend)


def _about_zero(values: NDArray[np.float32]) -> Limits:
    most = float(np.percentile(np.abs(values[np.isfinite(values)]), 99)) if np.isfinite(values).any() else 1.0
    return -(most or 1.0), most or 1.0
