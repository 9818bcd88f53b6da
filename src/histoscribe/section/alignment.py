"""Does the slide belong to the spots, and at which of its resolutions were they placed?"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Mask, Wide
from histoscribe.errors import SectionError, SlideError
from histoscribe.slide import Slide
from histoscribe.slide.tissue import tissue_mask

SAME_SIZE = 0.01
SAME_MPP = 0.1
MOST_OUTSIDE = 0.02
LEAST_ON_TISSUE, BETTER_TURNED = 0.5, 0.25
SMALLEST_MASK, MOST_LOOKED_AT = 20, 1 << 28
TURNS = {"mirrored left to right": (1, -1), "mirrored top to bottom": (-1, 1), "turned by 180°": (-1, -1)}
_REMEDY = "name the image that the spots were aligned to"


@dataclass(frozen=True)
class Alignment:
    """How positions map onto a slide."""

    factor: float
    """Full-resolution pixels of the slide per pixel of the positions."""
    warnings: tuple[str, ...] = ()
    """Everything doubtful about it, in plain words."""
    verdict: str = "fits"
    """`fits`, `fits level 1 (1/4)`, or `fits a copy 2.5 times smaller`."""


def check_alignment(
    centres: Wide, slide: Slide, *, mpp: float, expected: tuple[float, float] | None = None
) -> Alignment:
    """Check that spots fit on a slide, at full resolution or at one of its levels.

    Parameters
    ----------
    centres : ndarray of float64, shape (spots, 2)
        Pixels as (row, column) of the image that the spots were aligned to.
    slide : Slide
        The image to lay beneath them.
    mpp : float
        µm per pixel of the positions, from their lattice.
    expected : (float, float), optional
        Rows and columns of the image that the spots were aligned to, where known:
        `hires.shape / tissue_hires_scalef` in a Space Ranger folder.

    Raises
    ------
    SectionError
        If the image is another one, or spots lie outside it.
    """
    if expected is None:
        factor, warnings = _factor_by_mpp(slide, mpp)
    else:
        factor, warnings = _factor_by_size(slide, mpp, expected)
    verdict = _verdict(factor, slide)
    if factor != 1.0:
        copy = verdict.split(" (")[0].removeprefix("fits ") if "level" in verdict else "a reduced copy"
        warnings.append(
            f"the spots were placed on {copy} of this slide ({factor:.4g} times smaller) "
            "and were scaled to it"
        )
    warnings += _bounds(centres * factor, slide)
    return Alignment(factor, tuple(warnings), verdict)


def laid_on(
    slide: Slide | None,
    centres: Wide,
    mpp: float,
    *,
    expected: tuple[float, float] | None,
    placed: bool = False,
) -> tuple[Slide | None, Wide, float, Alignment]:
    """The slide (if any) with its µm per pixel, centres and µm per pixel in its pixels, and how they fit.

    `slide`, `centres`, `mpp` and `expected`: as in `check_alignment`; `placed`: whether the centres are of
    tiles of that slide, so that its tissue need not be looked for.
    """
    if slide is None:
        return None, centres, mpp, Alignment(1.0, verdict="")
    alignment = check_alignment(centres, slide, mpp=mpp, expected=expected)
    mpp /= alignment.factor
    slide, centres = slide.with_mpp(mpp), centres * alignment.factor
    doubts = [] if placed else tissue_doubts(centres, slide)
    return slide, centres, mpp, replace(alignment, warnings=(*alignment.warnings, *doubts))


def tissue_doubts(points: Wide, slide: Slide) -> list[str]:
    """Whether too few spots lie on the slide's tissue, and whether more would on the mirrored image.

    Nothing is said where that cannot be told: of few spots, tiny or remote images, and images without glass.
    """
    coarsest = slide.levels[-1].shape
    if len(points) < SMALLEST_MASK or slide.url or coarsest[0] * coarsest[1] > MOST_LOOKED_AT:
        return []
    try:
        mask, factor = tissue_mask(slide)
    except SlideError:
        return []
    if min(mask.shape) < SMALLEST_MASK or not mask.any():
        return []
    shape = np.asarray(slide.shape)

    def share(turn: tuple[int, int]) -> float:
        turned = np.where(np.asarray(turn) > 0, points, shape - points) / factor
        rows, columns = np.clip(turned.astype(np.int64), 0, np.asarray(mask.shape) - 1).T
        return float(mask[rows, columns].mean())

    own, best = share((1, 1)), max(TURNS, key=lambda turn: share(TURNS[turn]))
    if own >= LEAST_ON_TISSUE:
        return []
    found = share(TURNS[best])
    hint = f"; {found:.0%} would if they were {best}" if found > own + BETTER_TURNED else ""
    return [f"only {own:.0%} of the spots lie on the image's tissue: is it theirs, and not shifted{hint}?"]


def _verdict(factor: float, slide: Slide) -> str:
    if factor == 1.0:
        return "fits"
    for number, level in enumerate(slide.levels):
        if level.downsample == factor:
            return f"fits level {number} (1/{factor:.4g})"
    return f"fits a copy {factor:.4g} times smaller"


def rebased(slide: Slide, downsample: float) -> Slide:
    """The same image as a reduced copy of a larger one that is not at hand.

    `slide`: as opened; its pixels are taken for the finest there are. `downsample`: full-resolution pixels
    per pixel of its finest level, e.g. `1 / tissue_hires_scalef`.
    """
    factor = downsample / slide.levels[0].downsample
    levels = tuple(replace(level, downsample=level.downsample * factor) for level in slide.levels)
    return replace(slide, levels=levels, mpp=None)


def opened(slide: Slide | str | Path) -> Slide:
    """Open a slide that is named by its path; pass on one that is open."""
    if isinstance(slide, Slide):
        return slide
    from histoscribe.slide import open_slide

    return open_slide(slide)


def _factor_by_size(slide: Slide, mpp: float, expected: tuple[float, float]) -> tuple[float, list[str]]:
    ratios = np.asarray(slide.shape) / np.asarray(expected)
    for factor in sorted({1.0, *(level.downsample for level in slide.levels)}):
        if np.all(np.abs(ratios / factor - 1) < SAME_SIZE):
            return factor, []
    was, has = f"{expected[0]:.0f} × {expected[1]:.0f}", f"{slide.shape[0]} × {slide.shape[1]}"
    sizes = f"the spots were placed on an image of {was} pixels, this one has {has}"
    if abs(ratios[0] / ratios[1] - 1) >= SAME_SIZE:
        raise SectionError(f"the slide does not fit: {sizes}", where=slide.path, remedy=_REMEDY)
    factor = float(np.sqrt(ratios[0] * ratios[1]))
    if slide.mpp is None or abs(mpp / slide.mpp / factor - 1) > SAME_MPP:
        raise SectionError(
            f"the slide does not fit: {sizes} ({factor:.3g} times as large, which is none of its levels)",
            where=slide.path,
            remedy=f"{_REMEDY}, or state the slide's true µm per pixel if it is the same image resized",
        )
    return factor, []


def _factor_by_mpp(slide: Slide, mpp: float) -> tuple[float, list[str]]:
    if slide.mpp is None:
        return 1.0, []
    ratio = mpp / slide.mpp
    for factor in sorted({1.0, *(level.downsample for level in slide.levels)}):
        if abs(ratio / factor - 1) < SAME_MPP:
            return factor, []
    return 1.0, [
        f"the slide states {slide.mpp:.4g} µm per pixel, the spots' lattice says {mpp:.4g}; "
        "the lattice was believed"
    ]


def _bounds(points: Wide, slide: Slide) -> list[str]:
    shape = np.asarray(slide.shape)
    outside = int(_outside(points, shape).sum())
    if outside:
        size = f"{shape[0]} × {shape[1]} pixels"
        if not _outside(points[:, ::-1], shape).any():
            raise SectionError(
                f"{outside} of {len(points)} spots lie outside the image ({size}), but none with pixel row "
                "and column swapped",
                where=slide.path,
                remedy="swap the two pixel columns of the positions",
            )
        if outside > MOST_OUTSIDE * len(points):
            problem = f"{outside} of {len(points)} spots lie outside the image ({size})"
            raise SectionError(problem, where=slide.path, remedy=_REMEDY)
        return [f"{outside} of {len(points)} spots lie outside the image"]
    if len(points) >= 20 and np.all(points.max(axis=0) < 0.35 * shape):
        return ["the spots fill only the upper left corner of the image: are they pixels of a reduced copy?"]
    return []


def _outside(points: Wide, shape: NDArray[np.int_]) -> Mask:
    return np.asarray(((points < 0) | (points > shape)).any(axis=1))
