"""A map: one value per spot, with what it means, its unit and its colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.widgets.layers.colours import Limits
from histoscribe.widgets.layers.region_layer import PALETTE

if TYPE_CHECKING:
    from histoscribe.widgets.layers.strips import Strip

_DARKER = 0.55


@dataclass(frozen=True, eq=False)
class Map:
    """What a layer is to show.

    Parameters
    ----------
    kind : str
        Of each kind, a section and gene have one layer: a second map takes the place of the first.
    title, unit : str
        In plain words, for the layer's name and the legend.
    values : ndarray, shape (spots,)
        NaN where nothing is to be shown; the number of a class where `classes` are given.
    limits : (float, float)
        Values at the ends of the colour scale.
    colours : str
        A colour map that napari knows, or `DIFFERENCE`.
    gene : str
        Empty where the map is not of one gene, or follows the gene shown.
    classes : tuple of str
        Names of the classes; empty for numbers.
    legend : str
        What the colour scale stands for, in short; title and unit where not given.
    """

    kind: str
    title: str
    unit: str
    values: NDArray[Any]
    limits: Limits = (0.0, 1.0)
    colours: str = "cividis"
    gene: str = ""
    classes: tuple[str, ...] = ()
    legend: str = ""


def strip_of(found: Map) -> Strip:
    """The colour strip of a map of numbers, with what it stands for."""
    return found.legend or f"{found.title}, {found.unit}", found.colours, found.limits


def class_colours(count: int) -> NDArray[np.float32]:
    """Colours of classes, RGBA, shape (count, 4): those of Okabe and Ito, darker where they come again."""
    colours = [
        [channel / 255 * _DARKER ** (place // len(PALETTE)) for channel in PALETTE[place % len(PALETTE)]]
        for place in range(count)
    ]
    return np.column_stack([np.reshape(colours, (count, 3)), np.ones(count)]).astype(np.float32)


def spread(values: NDArray[Any]) -> Limits:
    """The 1st and 99th percentile of what is finite, never an empty interval."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (0.0, 1.0)
    return float(low), float(high if high > low else low + 1.0)
