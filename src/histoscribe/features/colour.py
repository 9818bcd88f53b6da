"""Colour: how much of each stain a window holds, how it spreads, and how much is bare glass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from histoscribe.features.stains import STAINS
from histoscribe.features.views import View

Named = tuple[str, NDArray[np.floating]]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_PAIRS = ((0, 1), (0, 2), (1, 2))
_BARE = 0.12  # total stain, in optical density, below which a pixel is glass or fat
_TINY = np.float32(1e-6)


def colour(view: View, window_um: float) -> Iterator[Named]:
    """Yield mean, sd, asymmetry, quantiles and correlations of the stains, and the bare fraction.

    Parameters
    ----------
    view : View
        At the resolution at which single pixels count.
    window_um : float
        Side of the central window in µm.
    """
    pixels = view.shown(view.stains, window_um)
    place = f"{window_um:g} µm window"
    mean = pixels.mean(-1)
    rest = pixels - mean[..., None]
    sd = np.sqrt((rest * rest).mean(-1))
    asymmetry = np.cbrt((rest * rest * rest).mean(-1)) / (sd + np.float32(0.01))
    ranks = [round(q * (pixels.shape[-1] - 1)) for q in _QUANTILES]
    ordered = np.partition(pixels, ranks, axis=-1)[..., ranks]
    for stain, name in enumerate(STAINS):
        yield f"{name} mean, {place} (OD)", mean[stain]
        yield f"{name} sd, {place} (OD)", sd[stain]
        yield f"{name} asymmetry, {place}", asymmetry[stain]
        for column, quantile in enumerate(_QUANTILES):
            yield f"{name} {quantile * 100:g} % quantile, {place} (OD)", ordered[stain, :, column]
    for one, two in _PAIRS:
        spread = sd[one] * sd[two] + _TINY
        yield f"{STAINS[one]}–{STAINS[two]} correlation, {place}", (rest[one] * rest[two]).mean(-1) / spread
    total = pixels[0] + pixels[1]
    yield f"bare fraction, {place}", (total < np.float32(_BARE)).mean(-1)


def gaps(view: View, window_um: float) -> Iterator[Named]:
    """Yield the fraction of a window that is bare over a whole coarse pixel: lumina, fat, tears."""
    pixels = view.shown(view.stains[:2], window_um)
    bare = (pixels[0] + pixels[1]) < np.float32(_BARE)
    yield f"bare fraction in gaps over {view.um:g} µm, {window_um:g} µm window", bare.mean(-1)
