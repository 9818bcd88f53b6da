"""Views: the parts of a joined encoder by themselves and all together, each seen by networks of its own.

Networks and ridges that see one part each, beside those that see all, err in unlike ways and are averaged.
The averaged ridges are one ridge of the whole image input, and the main axes of all views stand side by side,
so that a fitted predictor needs no more than their number.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from histoscribe.arrays import Floats, Numbers, Wide
from histoscribe.predictor.inputs import Unit
from histoscribe.predictor.linear import axes_of, principal_axes, ridge_of, weighted_ridge
from histoscribe.predictor.settings import PredictorSettings

Columns = Numbers


@dataclass(frozen=True)
class EncoderView:
    """What some of the networks, and one of the ridges, see.

    `descriptors`: those of one part of the encoder, or all; `radii`: reaches of its context; `units`: what it
    measures in.
    """

    descriptors: slice
    radii: tuple[float, ...]
    units: tuple[Unit, ...]

    def columns(self, settings: PredictorSettings, width: int) -> Columns:
        """Its columns of an image input with the radii and units of the settings, of `width` descriptors."""
        blocks = [(unit, radius) for unit in settings.measures for radius in (None, *settings.reaches)]
        seen = [unit in self.units and (radius is None or radius in self.radii) for unit, radius in blocks]
        whole = np.arange(len(blocks) * width).reshape(-1, width)
        columns: Columns = whole[np.array(seen)][:, self.descriptors].reshape(-1)
        return columns


def parts_and_whole(parts: Sequence[int]) -> list[slice]:
    """The descriptors of each part of an encoder, by how many they are, and all; all alone without parts."""
    return [*(slice(start, stop) for start, stop in pairwise(np.cumsum([0, *parts]).tolist())), slice(None)]


def seeing_all(settings: PredictorSettings, views: Sequence[EncoderView]) -> PredictorSettings:
    """The settings with the radii and units of all views."""
    widest = sorted(views, key=lambda view: (-len(view.radii), -len(view.units)))
    radii = dict.fromkeys(radius for view in widest for radius in view.radii)
    units = dict.fromkeys(unit for view in widest for unit in view.units)
    return replace(settings, radii=tuple(radii), units=tuple(units))


class InputMatrix:
    """The image inputs of all training spots at once; see `InputProducts`, which has the same methods."""

    def __init__(self, inputs: Floats, scores: Wide, trust: Wide) -> None:
        self.inputs, self.scores, self.trust, self.shape = inputs, scores, trust, inputs.shape

    def axes(self, columns: Columns, count: int) -> Floats:
        """The first principal axes of these columns, shape (columns, count)."""
        return principal_axes(np.take(self.inputs, columns, axis=1), count)

    def ridge(self, columns: Columns) -> Floats:
        """Weights of the ridge that sees these columns, shape (columns, rank)."""
        return weighted_ridge(np.take(self.inputs, columns, axis=1), self.scores, self.trust)


class InputProducts:
    """What axes and ridge need of image inputs that are too many to be held: sums of their products.

    `blocks`: each of shape (some spots, inputs); `scores` (spots, rank): what the ridge is to write; `trust`
    (spots,).
    """

    def __init__(self, blocks: Iterable[Floats], scores: Wide, trust: Wide) -> None:
        done, zero = 0, np.zeros(1)
        sums, gram, weighted, answers = zero, zero, zero, zero
        for block in blocks:
            rows = slice(done, done := done + len(block))
            wide = block.astype(np.float64)
            trusted = wide.T * trust[rows]
            sums, gram = sums + wide.sum(axis=0), gram + wide.T @ wide
            weighted, answers = weighted + trusted @ wide, answers + trusted @ scores[rows]
        self.shape = done, len(gram)
        self._centred, self._weighted = gram - np.outer(sums, sums) / done, weighted
        self._answers = answers

    def axes(self, columns: Columns, count: int) -> Floats:
        """See `InputMatrix.axes`."""
        return axes_of(self._centred[np.ix_(columns, columns)], count)

    def ridge(self, columns: Columns) -> Floats:
        """See `InputMatrix.ridge`."""
        return ridge_of(self._weighted[np.ix_(columns, columns)], self._answers[columns])


def view_axes(inputs: InputMatrix | InputProducts, views: Sequence[Columns], count: int) -> Floats:
    """Principal axes of each view side by side, shape (inputs, views × axes); (inputs, 0) for a count of 0.

    Scaled so that `model.project` brings each view near 1, however many columns it has.
    """
    spots, width = inputs.shape
    count = min(count, spots, *(len(columns) for columns in views))
    out = np.zeros((width, len(views), count), dtype=np.float32)
    for number, columns in enumerate(views if count else ()):
        scale = np.float32(np.sqrt(width / len(views) / len(columns)))
        out[columns, number] = inputs.axes(columns, count) * scale
    return out.reshape(width, len(views) * count)


def view_ridge(inputs: InputMatrix | InputProducts, views: Sequence[Columns]) -> Floats:
    """The mean of the ridges of all views, shape (inputs, rank)."""
    found = [inputs.ridge(columns) / np.float32(len(views)) for columns in views]
    out = np.zeros((inputs.shape[1], found[0].shape[1]), dtype=np.float32)
    for columns, weights in zip(views, found, strict=True):
        out[columns] += weights
    return out
