"""Views: the parts of a joined encoder by themselves and all together, each seen by networks of its own.

Networks and ridges that see one part each, beside those that see all, err in unlike ways and are averaged.
The averaged ridges are one ridge of the whole image input, and the main axes of all views stand side by side,
so that a fitted predictor needs no more than their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from histoscribe.predictor.inputs import Unit
from histoscribe.predictor.linear import principal_axes, weighted_ridge
from histoscribe.predictor.settings import PredictorSettings

Columns = NDArray[np.int64]


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


def view_axes(inputs: NDArray[np.float32], views: Sequence[Columns], count: int) -> NDArray[np.float32]:
    """Principal axes of each view side by side, shape (inputs, views × axes); (inputs, 0) for a count of 0.

    Scaled so that `model.project` brings each view near 1, however many columns it has.
    """
    count = min(count, len(inputs), *(len(columns) for columns in views))
    out = np.zeros((inputs.shape[1], len(views), count), dtype=np.float32)
    for number, columns in enumerate(views):
        scale = np.float32(np.sqrt(inputs.shape[1] / len(views) / len(columns)))
        out[columns, number] = principal_axes(np.take(inputs, columns, axis=1), count) * scale
    return out.reshape(inputs.shape[1], len(views) * count)


def view_ridge(
    inputs: NDArray[np.float32],
    views: Sequence[Columns],
    scores: NDArray[np.float64],
    trust: NDArray[np.float64],
) -> NDArray[np.float32]:
    """The mean of the ridges of all views, shape (inputs, rank)."""
    out = np.zeros((inputs.shape[1], scores.shape[1]), dtype=np.float32)
    for columns in views:
        out[columns] += weighted_ridge(np.take(inputs, columns, axis=1), scores, trust) / np.float32(
            len(views)
        )
    return out
