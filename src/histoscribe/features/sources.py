"""Sources: a slide as another process can open it again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from histoscribe.errors import SlideError

if TYPE_CHECKING:
    from histoscribe.slide import Slide


@dataclass(frozen=True)
class SlideSource:
    """What is needed to open a slide elsewhere and to be sure that it is the same.

    Parameters
    ----------
    place : str
        Absolute path, or URL; the other process must see the same there.
    mpp : float or None
        µm per full-resolution pixel.
    levels : tuple of (int, int, float)
        Rows, columns and downsample factor of each level.
    """

    place: str
    mpp: float | None
    levels: tuple[tuple[int, int, float], ...]

    @classmethod
    def of(cls, slide: Slide) -> SlideSource:
        """The source of an open slide."""
        levels = tuple((*level.shape, level.downsample) for level in slide.levels)
        return cls(slide.url or str(slide.path.absolute()), slide.mpp, levels)

    def open(self) -> Slide:
        """Open it in this process; what was opened lately is kept.

        Raises
        ------
        SlideError
            If it is not there, or not the same.
        """
        return _open(self)


@lru_cache(maxsize=4)
def _open(source: SlideSource) -> Slide:
    from histoscribe.slide import Level, open_slide

    slide = open_slide(source.place, mpp=source.mpp)
    if [level.shape for level in slide.levels] != [level[:2] for level in source.levels]:
        raise SlideError(
            "another process finds another image there",
            where=source.place,
            remedy="leave --scheduler out for this slide",
        )
    # A section may know factors that the image file does not.
    levels = tuple(
        Level(level.pixels, downsample)
        for level, (_, _, downsample) in zip(slide.levels, source.levels, strict=True)
    )
    return replace(slide, levels=levels)
