"""Colour: how much of each stain a window holds, how it spreads, and how much is bare glass."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Floats, Wide
from histoscribe.features.builtin.compiled import compiled
from histoscribe.features.builtin.planes import window_means
from histoscribe.features.builtin.stain_scales import StainScale, margin
from histoscribe.features.builtin.stains import STAINS

Named = tuple[str, NDArray[np.floating]]

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_PAIRS = ((0, 1), (0, 2), (1, 2))
_BARE = 0.12  # total stain, in optical density, below which a pixel is glass or fat
_TINY = np.float32(1e-6)


def colour(view: StainScale, window_um: float) -> Iterator[Named]:
    """Yield mean, sd, asymmetry, quantiles and correlations of the stains, and the bare fraction.

    `view`: at the resolution at which single pixels count; `window_um`: side of the central window in µm.
    """
    edge = margin(view.stains, view.um, window_um)
    stop = view.stains.shape[-1] - edge
    pixels = view.stains[..., edge:stop, edge:stop].reshape(*view.stains.shape[:2], -1)
    place = f"{window_um:g} µm window"
    mean = window_means(view.stains, edge)
    power, cube, product = moments = np.empty((3, *mean.shape))
    _central(pixels, mean, moments)
    sd = np.sqrt(power)
    asymmetry = np.cbrt(cube) / (sd + 0.01)
    bare = _bare_share(pixels)
    ordered = np.sort(pixels, axis=-1)
    ranks = [round(q * (pixels.shape[-1] - 1)) for q in _QUANTILES]
    for stain, name in enumerate(STAINS):
        yield f"{name} mean, {place} (OD)", mean[stain]
        yield f"{name} sd, {place} (OD)", sd[stain]
        yield f"{name} asymmetry, {place}", asymmetry[stain]
        for rank, quantile in zip(ranks, _QUANTILES, strict=True):
            yield f"{name} {quantile * 100:g} % quantile, {place} (OD)", ordered[stain, :, rank]
    for pair, (one, two) in enumerate(_PAIRS):
        spread = sd[one] * sd[two] + _TINY
        yield f"{STAINS[one]}–{STAINS[two]} correlation, {place}", product[pair] / spread
    yield f"bare fraction, {place}", bare


def gaps(view: StainScale, window_um: float) -> Iterator[Named]:
    """Yield the fraction of a window that is bare over a whole coarse pixel: lumina, fat, tears."""
    edge = margin(view.stains, view.um, window_um)
    stop = view.stains.shape[-1] - edge
    pixels = view.stains[:, :, edge:stop, edge:stop]
    yield f"bare fraction in gaps over {view.um:g} µm, {window_um:g} µm window", _bare_share(pixels)


def _bare_share(pixels: Floats) -> Wide:
    """Share of bare pixels of each crop; `pixels` has shape (stains, n, ...)."""
    bare = (pixels[0] + pixels[1]) < np.float32(_BARE)
    share: Wide = bare.reshape(len(bare), -1).mean(-1)
    return share


@compiled
def _central(pixels: Floats, mean: Wide, out: Wide) -> None:
    """Fill `out` (3, 3, n) with second, third and mixed (in the order of `_PAIRS`) central moments."""
    size = pixels.shape[2]
    for number in range(pixels.shape[1]):
        first, second, third = pixels[0, number], pixels[1, number], pixels[2, number]
        middle = mean[0, number], mean[1, number], mean[2, number]
        total = np.zeros((9, 16))
        for start in range(0, size, 16):
            for lane in range(min(16, size - start)):
                one = first[start + lane] - middle[0]
                two = second[start + lane] - middle[1]
                three = third[start + lane] - middle[2]
                total[0, lane] += one * one
                total[1, lane] += two * two
                total[2, lane] += three * three
                total[3, lane] += one * one * one
                total[4, lane] += two * two * two
                total[5, lane] += three * three * three
                total[6, lane] += one * two
                total[7, lane] += one * three
                total[8, lane] += two * three
        for measure in range(9):
            out[measure // 3, measure % 3, number] = total[measure].sum() / size
