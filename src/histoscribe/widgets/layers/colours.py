"""Values to colours: maps that are read without colour vision, and blends of up to three genes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from napari.utils.colormaps import ensure_colormap
from numpy.typing import NDArray

from histoscribe.arrays import Floats

Limits = tuple[float, float]
Colours = Floats

UNITS = "log1p of counts per 10,000"
DIFFERENCE = "predicted − measured"
BLEND = ((0.0, 0.75, 0.75), (1.0, 0.8, 0.0), (0.85, 0.0, 0.5))
"""Inks whose first two, and what they mix to, are far from haematoxylin and eosin."""
BLEND_NAMES = ("cyan", "yellow", "magenta")
MISSING = (0.55, 0.55, 0.55, 0.35)
_STEPS = 256
_FAINT = 0.4
_DIVERGING = ((0.13, 0.40, 0.67), (0.97, 0.97, 0.97), (0.70, 0.09, 0.17))


@lru_cache(maxsize=16)
def table_of(colour_map: str) -> Colours:
    """A colour map as a table, shape (256, 4), RGBA in 0 to 1; `DIFFERENCE` is blue over white to red."""
    if colour_map == DIFFERENCE:
        ends = np.linspace(0, 1, _STEPS)
        channels = [np.interp(ends, (0, 0.5, 1), channel) for channel in zip(*_DIVERGING, strict=True)]
        return np.column_stack([*channels, np.ones(_STEPS)]).astype(np.float32)
    return np.asarray(ensure_colormap(colour_map).map(np.linspace(0, 1, _STEPS)), dtype=np.float32)


def spread(values: NDArray[np.floating], low: float = 1.0, high: float = 99.0) -> Limits:
    """Two percentiles of what is finite, its extremes where they coincide; never an empty interval."""
    finite = values[np.isfinite(values)]
    first, last = np.percentile(finite, (low, high)) if finite.size else (0.0, 1.0)
    if last <= first:
        first, last = finite.min(), finite.max()
    return float(first), float(last if last > first else first + 1.0)


def about_zero(values: NDArray[np.floating], high: float = 99.0) -> Limits:
    """A percentile of the sizes of what is finite, below and above zero."""
    finite = np.abs(values[np.isfinite(values)])
    most = float(np.percentile(finite, high)) if finite.size else 0.0
    return -(most or 1.0), most or 1.0


def shades(values: NDArray[np.floating], bounds: Limits) -> Floats:
    """Values as 0 to 1 between their limits, NaN where not finite."""
    low, high = bounds
    shares: Floats = (np.asarray(values, np.float32) - low) / ((high - low) or 1.0)
    return shares.clip(0, 1)


def colours_of(values: NDArray[np.floating], bounds: Limits, colour_map: str) -> Colours:
    """One gene's colours, shape (spots, 4); what is not a number turns faint grey."""
    share = shades(values, bounds)
    missing = ~np.isfinite(share)
    if missing.any():
        share = np.where(missing, 0, share)
    colours = table_of(colour_map)[(share * (_STEPS - 1) + 0.5).astype(np.intp)]
    colours[missing] = MISSING
    return colours


def blended(genes: Sequence[tuple[NDArray[np.floating], Limits] | None]) -> Colours:
    """Up to three genes as inks on white: cyan, yellow, magenta; spots with little of all turn faint.

    Each is values and limits; None where a layer lacks the gene that has this ink.
    """
    parts = [(np.nan_to_num(shades(*one)), BLEND[place]) for place, one in enumerate(genes) if one]
    inks = [1 - share[:, None] * (1 - np.asarray(colour, np.float32)) for share, colour in parts]
    most = np.max([share for share, _ in parts], axis=0)
    colours = np.column_stack([np.prod(inks, axis=0), _FAINT + (1 - _FAINT) * most]).astype(np.float32)
    colours[np.all([~np.isfinite(one[0]) for one in genes if one], axis=0)] = MISSING
    return colours


def mixed(
    genes: Sequence[str],
    shown: Mapping[str, NDArray[np.floating]],
    bounds: Mapping[str, Limits],
    colour_map: str,
) -> Colours:
    """What is `shown` of these genes: one by a colour map, several as inks in their order."""
    if len(genes) == 1:
        return colours_of(shown[genes[0]], bounds[genes[0]], colour_map)
    return blended([(shown[gene], bounds[gene]) if gene in shown else None for gene in genes])
