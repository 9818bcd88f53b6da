"""The section: a table of spots, where they lie, and the slide beneath them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from histoscribe.arrays import Wide
from histoscribe.errors import SectionError

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

    from histoscribe.slide import Slide


def flip(points: ArrayLike) -> Wide:
    """Turn (x, y) into (row, column), or back: shape (points, 2), any unit."""
    return np.asarray(points, dtype=np.float64)[:, ::-1].copy()


@dataclass(frozen=True)
class SectionOptions:
    """What is wanted of a section, or known better than its files say; None where they are to say."""

    slide: Slide | str | Path | None = None
    """The full-resolution image, checked to fit."""
    patient: str | None = None
    name: str | None = None
    pitch_um: float | None = None
    spot_um: float | None = None
    """`pitch_um` and `spot_um`: distance of neighbouring spots and their diameter."""
    bin_um: float | None = None
    """Which bin size of Visium HD."""


@dataclass(frozen=True, eq=False)
class Section:
    """Measured or predicted spots of one tissue section."""

    name: str
    """The section's name, unique in its cohort."""
    table: AnnData
    """Spots by genes; `X` holds counts where measured, log expression where predicted. `obsm["spatial"]`
    holds full-resolution pixels as (x, y), squidpy's convention."""
    slide: Slide | None
    """The H&E image beneath, already checked to fit."""
    mpp: float
    """µm per full-resolution pixel."""
    spot_um: float
    """Diameter of a spot in µm."""
    pitch_um: float | None
    """Distance of neighbouring spots of a lattice in µm; None for cells and beads, which have none."""
    patient: str
    """Whose tissue it is; the section's name where unknown."""
    warnings: tuple[str, ...] = ()
    """Everything doubtful about it, in plain words."""
    alignment: str = ""
    """How its slide was found to fit: `fits`, or `fits level 1 (1/4)` where the spots had been placed on that
    level and were scaled; empty where there is no slide. A slide that does not fit is refused."""

    @property
    def centres(self) -> Wide:
        """Spot centres in full-resolution pixels, shape (spots, 2) as (row, column)."""
        return flip(self.table.obsm["spatial"])

    @property
    def centres_um(self) -> Wide:
        """Spot centres in µm, shape (spots, 2) as (row, column)."""
        return self.centres * self.mpp

    @property
    def spacing_um(self) -> float:
        """The pitch in µm; the median distance to the nearest neighbour of cells and beads."""
        from histoscribe.section.lattice import neighbour_distance

        return self.pitch_um or neighbour_distance(self.centres_um)

    @property
    def scaled_slide(self) -> Slide:
        """The slide at the section's scale; raises `SectionError` where there is none."""
        if self.slide is None:
            remedy = "state the full-resolution image, e.g. in a cohort's column `slide`"
            raise SectionError("this section has no slide", where=self.name, remedy=remedy)
        return self.slide.with_mpp(self.mpp)

    @property
    def genes(self) -> list[str]:
        """Gene names in the order of the table's columns."""
        return [str(name) for name in self.table.var_names]

    def with_table(self, table: AnnData) -> Section:
        """The same section with another table of the same or fewer spots."""
        return replace(self, table=table)
