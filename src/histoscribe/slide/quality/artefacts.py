"""Pen, blur, folds and bubbles, by what light does to them, relative to the slide's own tissue."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histoscribe.progress import Progress
from histoscribe.slide.model import Slide
from histoscribe.slide.resample import Window
from histoscribe.slide.tissue import tissue_mask

CLASSES = ("tissue", "glass", "pen", "blur", "fold", "bubble")
"""In this order: later ones win where several apply."""
TISSUE, GLASS, PEN, BLUR, FOLD, BUBBLE = range(len(CLASSES))

CELL_UM, PIXEL_UM = 32.0, 2.0
_PER_CELL = int(CELL_UM / PIXEL_UM)
_STRIP = 64  # rows of cells read at once
_FAINT = 0.25  # summed optical density below which a colour tells nothing
_PEN_AWAY = 0.105  # of the shares of red and blue absorbed, from the slide's own tissue
_BLUR_BELOW = -1.0  # ln of fine over middle detail, from the slide's own tissue
_FOLD_DARK = 1.65  # of the slide's median
_FOLD_TIMES, _FOLD_LEAST, _FOLD_CELLS = 1.5, 1.3, 13  # along a line, and each cell of it; its length
_RADII_UM = np.arange(100.0, 520.0, 20.0)
_RING_SHARE = 0.45
_GREY = 0.08  # optical density in blue beyond what stained tissue has


@dataclass(frozen=True, eq=False)
class SlideQuality:
    """What each cell of 32 µm of a slide shows."""

    classes: NDArray[np.uint8]
    """Place in `CLASSES`, shape (rows, columns)."""
    cell: float
    """Full-resolution pixels to a side of a cell."""

    def at(self, points: ArrayLike) -> NDArray[np.uint8]:
        """The class at each place (row, column) in full-resolution pixels; glass beyond the slide."""
        cells = np.floor(np.asarray(points, dtype=np.float64) / self.cell).astype(np.int64)
        inside = ((cells >= 0) & (cells < self.classes.shape)).all(axis=1)
        found = np.full(len(cells), GLASS, dtype=np.uint8)
        found[inside] = self.classes[tuple(cells[inside].T)]
        return found

    @property
    def shares(self) -> dict[str, float]:
        """Of all that is no glass, the share of each class."""
        counts = np.bincount(self.classes.ravel(), minlength=len(CLASSES)).astype(float)
        whole = max(1.0, counts.sum() - counts[GLASS])
        return {name: counts[place] / whole for place, name in enumerate(CLASSES) if place != GLASS}


def slide_quality(slide: Slide, *, progress: Progress | None = None) -> SlideQuality:
    """Find what is no clean tissue.

    Pen absorbs other colours than the slide's own tissue; blur has lost fine detail against middle detail;
    folds are narrow and absorb half as much again as what lies beside them; bubbles have a grey ring.
    Raises `SlideError` if the slide's µm per pixel are unknown.
    """
    from scipy.ndimage import binary_dilation, binary_opening, uniform_filter

    tissue, factor = tissue_mask(slide)
    density, detail, grey = _looked_at(slide, progress or Progress())
    cell = CELL_UM / slide.known_mpp
    shape = density.shape[:2]
    rows, columns = (
        np.minimum(((np.arange(length) + 0.5) * cell / factor).astype(int), most - 1)
        for length, most in zip(shape, tissue.shape, strict=True)
    )
    on = tissue[np.ix_(rows, columns)]
    classes = np.where(on, TISSUE, GLASS).astype(np.uint8)
    if on.sum() < 20:
        return SlideQuality(classes, cell)
    total = density.sum(axis=2)
    share = density / np.maximum(total, 1e-3)[..., None]
    own = np.median(share[on & (total > _FAINT)], axis=0)
    away = np.hypot(share[..., 0] - own[0], share[..., 2] - own[2])
    cross = np.ones((3, 3), dtype=np.bool_)
    pen = binary_opening((away > _PEN_AWAY) & (total > _FAINT), cross)
    pen = binary_dilation(pen, cross) & (away > _PEN_AWAY)
    smooth = np.where(on, detail, np.nan)
    level = float(np.nanmedian(smooth))
    lost = uniform_filter(np.where(on, detail - level, 0.0), 5) / np.maximum(
        uniform_filter(on.astype(float), 5), 0.1
    )
    blur = binary_opening(on & (lost < _BLUR_BELOW), cross) & ~pen
    bubble = _bubbles(grey, shape, pen)
    fold = _folds(total, on & ~binary_dilation(pen | bubble, cross, iterations=2))
    classes[blur], classes[fold], classes[pen], classes[bubble] = BLUR, FOLD, PEN, BUBBLE
    return SlideQuality(classes, cell)


def _looked_at(slide: Slide, progress: Progress) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """By cells: mean optical density (…, 3), ln of fine over middle detail; by quarter cells: grey excess."""
    from scipy.ndimage import gaussian_filter

    cell = CELL_UM / slide.known_mpp
    rows, columns = (int(side / cell) for side in slide.shape)
    glass = np.percentile(slide.read(Window(0, 0, *slide.shape), 32.0), 95, axis=(0, 1)).astype(np.float32)
    density, detail, grey = [], [], []
    for first in progress.track(range(0, rows, _STRIP), "looking at the slide", -(-rows // _STRIP)):
        number = min(_STRIP, rows - first)
        window = Window(first * cell, 0, number * cell, columns * cell)
        image = slide.read(window, PIXEL_UM)[: number * _PER_CELL, : columns * _PER_CELL].astype(np.float32)
        each = np.log10((glass + 1) / (image + 1)).clip(0, 2)
        light = image.mean(axis=2)
        near, wide = gaussian_filter(light, 1.0), gaussian_filter(light, 3.0)
        fine, middle = (_mean((a - b) ** 2, _PER_CELL) for a, b in ((light, near), (near, wide)))
        density.append(_mean(each, _PER_CELL))
        detail.append(np.log(fine + 0.05) - np.log(middle + 0.5))
        grey.append(_mean(each[..., 2] - 0.5 * each[..., 1], _PER_CELL // 4))
    return np.concatenate(density), np.concatenate(detail), np.concatenate(grey)


def _mean(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Means of squares; shape (rows, columns) or (rows, columns, 3)."""
    rows, columns = image.shape[0] // side, image.shape[1] // side
    cut = image[: rows * side, : columns * side].reshape(rows, side, columns, side, *image.shape[2:])
    found: NDArray[np.float32] = cut.mean(axis=(1, 3))
    return found


def _folds(total: NDArray[Any], on: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a line of cells absorbs more than what lies on either side of it, in one of twelve directions."""
    from scipy.ndimage import binary_closing, binary_dilation, correlate, label

    found = np.zeros_like(on)
    dark = np.median(total[on])
    filled = np.where(on, total, np.median(total[on]))
    across, along = np.mgrid[-10:11, -10:11]
    for angle in np.arange(12) * np.pi / 12:
        down = across * np.cos(angle) + along * np.sin(angle)
        length = np.abs(along * np.cos(angle) - across * np.sin(angle)) <= _FOLD_CELLS / 2
        line = length & (np.abs(down) <= 0.8)
        sides = [length & (np.abs(down - way * 5) <= 1.5) for way in (-1, 1)]
        within, *beside = (correlate(filled, one / one.sum(), mode="nearest") for one in (line, *sides))
        level = np.maximum(*beside)
        core = on & (within > np.maximum(_FOLD_TIMES * level, _FOLD_DARK * dark))
        found |= binary_dilation(core, line) & (total > _FOLD_LEAST * level) & on
    pieces, _ = label(binary_closing(found, np.ones((3, 3))), np.ones((3, 3)))
    large = np.bincount(pieces.ravel()) >= _FOLD_CELLS
    large[0] = False
    return np.asarray(large[pieces] & on)


def _bubbles(grey: NDArray[np.float32], shape: tuple[int, ...], pen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Discs within grey rings; shape (rows, columns) of cells."""
    from skimage.morphology import white_tophat
    from skimage.transform import hough_circle, hough_circle_peaks

    found = np.zeros(shape, dtype=np.bool_)
    thin = white_tophat(grey, np.ones((9, 9))) > _GREY
    thin &= ~np.repeat(np.repeat(pen, 4, 0), 4, 1)[: thin.shape[0], : thin.shape[1]]
    if not thin.any():
        return found
    radii = np.unique((_RADII_UM / CELL_UM * 4).round().astype(int))
    untyped: Any = hough_circle, hough_circle_peaks
    space, apart = untyped[0](thin, radii), {"min_xdistance": 8, "min_ydistance": 8}
    peaks = untyped[1](space, radii, threshold=_RING_SHARE, **apart)
    down, across = np.ogrid[: shape[0], : shape[1]]
    for _, column, row, radius in zip(*peaks, strict=True):
        found |= np.hypot(down + 0.5 - row / 4, across + 0.5 - column / 4) <= radius / 4
    return found
