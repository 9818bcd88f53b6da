"""The slide: one RGB pyramid whose pixels are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError
from histoscribe.slide.pyramid import Level
from histoscribe.slide.resample import Window, read_window

UNSCALED = "the µm per pixel are unknown"
"""The warning of a slide that does not state its scale."""
AssociatedImages = Mapping[str, Callable[[], NDArray[np.uint8]]]
"""Images beside the tissue: by name (`label`, `macro`, ...) what reads one, shape (rows, columns, 3)."""


@dataclass(frozen=True, eq=False)
class Slide:
    """One RGB pyramid."""

    path: Path
    """Where it was read from."""
    levels: tuple[Level, ...]
    """Finest first. The finest may be a reduced image (`downsample` > 1) where the full-resolution one is not
    at hand, as in a Space Ranger folder."""
    mpp: float | None = None
    """µm per full-resolution pixel; None when unknown."""
    vendor: str = ""
    """Who wrote the file, as far as the file says."""
    objective: float | None = None
    """Nominal magnification."""
    warnings: tuple[str, ...] = ()
    """Everything doubtful about it, in plain words."""
    associated: AssociatedImages = field(default_factory=dict)
    """Images beside the tissue by name (`label`, `macro`, `thumbnail`, ...), each read when called; shape
    (rows, columns, 3)."""
    profile: Callable[[], bytes] | None = None
    """Reads the ICC profile of the scanner, where the file holds one."""
    url: str = ""
    """Where it was read from if that is no local path; `path` only names it then."""

    @property
    def source(self) -> str:
        """Its URL or its path."""
        return self.url or str(self.path)

    @property
    def name(self) -> str:
        """The file's name without its endings; without the last one where it starts as a DICOM number."""
        first = self.path.name.split(".")[0]
        return self.path.stem if first.isdigit() and self.path.suffix == ".dcm" else first

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns at full resolution."""
        rows, columns = self.levels[0].shape
        factor = self.levels[0].downsample
        return round(rows * factor), round(columns * factor)

    @property
    def known_mpp(self) -> float:
        """µm per full-resolution pixel; raises `SlideError` where they are unknown."""
        if self.mpp is None:
            raise SlideError(UNSCALED, where=self.path, remedy="state them with --mpp")
        return self.mpp

    def with_mpp(self, mpp: float) -> Slide:
        """The same slide with another µm per full-resolution pixel, which are unknown no longer."""
        return replace(self, mpp=mpp, warnings=tuple(one for one in self.warnings if one != UNSCALED))

    def level_for(self, mpp: float) -> Level:
        """The coarsest level that is at least as fine as `mpp` µm per pixel (else the finest)."""
        fine_enough = [level for level in self.levels if level.downsample * self.known_mpp <= mpp * 1.01]
        return max(fine_enough, key=lambda level: level.downsample, default=self.levels[0])

    def read(self, window: Window, mpp: float) -> NDArray[np.uint8]:
        """Read a rectangle resampled to `mpp` µm per pixel.

        Parameters
        ----------
        window : Window
            In full-resolution pixels; what lies outside the slide is white.
        mpp : float
            µm per pixel of the result.

        Returns
        -------
        ndarray of uint8, shape (rows, columns, 3)

        Raises
        ------
        SlideError
            If the slide's own µm per pixel are unknown, or the result would be unreasonably large.
        """
        return read_window(self.level_for(mpp), window, self.known_mpp / mpp)
