"""Pen, blur, folds and bubbles on a slide."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from histoscribe.progress import Progress
from histoscribe.slide.model import Slide
from histoscribe.slide.quality.network import PIXEL_UM, SIDE, chances, seen_in
from histoscribe.slide.resample import Window
from histoscribe.slide.tissue import tissue_mask, without_specks

CLASSES = ("tissue", "glass", "pen", "blur", "fold", "bubble")
"""In this order: later ones win where several apply."""
TISSUE, GLASS, PEN, BLUR, FOLD, BUBBLE = range(len(CLASSES))

CELL_UM = 32.0
_PER_CELL = int(CELL_UM / PIXEL_UM)
_STRIP = 64  # rows of cells read at once
_FEWEST = 20  # cells of tissue that tell what is usual on a slide
_SURE = 0.5  # chance from which a cell is called so
_LEAST = {PEN: 4, BLUR: 10, FOLD: 10, BUBBLE: 20}  # cells of the smallest piece


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

    A small network looks at colour, darkness and detail, also against the slide's own tissue. Raises
    `SlideError` if the slide's µm per pixel are unknown.
    """
    tissue, factor = tissue_mask(slide)
    seen = _looked_at(slide, progress or Progress())
    cell = CELL_UM / slide.known_mpp
    shape = seen.shape[0] // SIDE, seen.shape[1] // SIDE
    rows, columns = (
        np.minimum(((np.arange(length) + 0.5) * cell / factor).astype(int), most - 1)
        for length, most in zip(shape, tissue.shape, strict=True)
    )
    on = tissue[np.ix_(rows, columns)]
    classes = np.where(on, TISSUE, GLASS).astype(np.uint8)
    if on.sum() < _FEWEST:
        return SlideQuality(classes, cell)
    told = chances(seen, on)
    likeliest = told[1:].argmax(axis=0) + PEN
    for kind in (BLUR, FOLD, PEN, BUBBLE):
        called = (likeliest == kind) & (told[kind - 1] > _SURE)
        classes[without_specks(called, _LEAST[kind], np.ones((3, 3))) & (on | (kind in (PEN, BUBBLE)))] = kind
    return SlideQuality(classes, cell)


def _looked_at(slide: Slide, progress: Progress) -> NDArray[np.float16]:
    """What `seen_in` gives, by strips of the slide."""
    cell = CELL_UM / slide.known_mpp
    rows, columns = (int(side / cell) for side in slide.shape)
    glass = np.percentile(slide.read(Window(0, 0, *slide.shape), 32.0), 95, axis=(0, 1))
    seen = []
    for first in progress.track(range(0, rows, _STRIP), "looking at the slide", -(-rows // _STRIP)):
        number = min(_STRIP, rows - first)
        window = Window(first * cell, 0, number * cell, columns * cell)
        image = slide.read(window, PIXEL_UM)[: number * _PER_CELL, : columns * _PER_CELL]
        seen.append(seen_in(image, glass))
    return np.concatenate(seen)
