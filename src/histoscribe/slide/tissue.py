"""Where the tissue is: Otsu's threshold on the optical density of a coarse level, then cleaning."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.slide.model import Slide
from histoscribe.slide.resample import Window

_GLASS = 10  # percentile of optical density that is taken for glass, per channel
_STRONG = 0.15  # optical density above glass that is tissue for sure: more of it shifts no threshold
_SHARE = 0.6  # of Otsu's threshold, which lies half-way to strongly stained tissue
_FAINTEST = 0.03  # optical density above glass below which nothing counts as tissue
_DARKEST = 50  # brightest channel of ink, marker and black borders
_SMALLEST_UM = 200.0  # side of the smallest piece kept
_HOLE_UM = 250.0  # side of the largest hole filled: fat cells and ducts belong to the tissue


def tissue_mask(slide: Slide, *, mpp: float = 16.0) -> tuple[NDArray[np.bool_], float]:
    """Find the tissue.

    The optical density of a pixel (-log10 of the transmitted share, mean of the three channels) above that of
    the glass is split below Otsu's threshold, with strong stains held down: otherwise Otsu parts dark from
    pale tissue. Small openings, pieces and holes are then cleaned away.

    `slide`: with known µm per pixel; `mpp`: µm per pixel of the mask. Returns `mask` (rows, columns): true on
    tissue; `factor`: full-resolution pixels per pixel of the mask. Raises `SlideError` if the slide's µm per
    pixel are unknown.
    """
    from scipy.ndimage import binary_closing, binary_opening, gaussian_filter
    from skimage.filters import threshold_otsu

    image = slide.read(Window(0, 0, *slide.shape), mpp)
    factor = mpp / slide.known_mpp
    if not image.size:
        return np.zeros(image.shape[:2], dtype=np.bool_), factor
    density = -np.log10((image.astype(np.float32) + 1) / 256)
    stain = np.clip(density - np.percentile(density, _GLASS, axis=(0, 1)), 0, None).mean(axis=2)
    stain[image.max(axis=2) < _DARKEST] = 0
    stain = np.minimum(gaussian_filter(stain, sigma=1), _STRONG)
    threshold = float(threshold_otsu(stain)) if np.ptp(stain) > 0 else 0.0  # type: ignore[no-untyped-call]
    mask = stain > max(_FAINTEST, _SHARE * threshold)
    cross = np.ones((3, 3), dtype=np.bool_)
    mask = binary_closing(binary_opening(mask, cross), cross)
    mask = without_specks(mask, (_SMALLEST_UM / mpp) ** 2)
    mask = ~without_specks(~mask, (_HOLE_UM / mpp) ** 2)
    return mask, factor


def without_specks(
    mask: NDArray[np.bool_], smallest: float, joined: NDArray[Any] | None = None
) -> NDArray[np.bool_]:
    """Drop pieces of fewer than `smallest` pixels, connected as scipy's `label` takes it."""
    from scipy.ndimage import label

    pieces, _ = label(mask, joined)
    keep = np.bincount(pieces.ravel()) >= smallest
    keep[:1] = False
    return np.asarray(keep[pieces], dtype=np.bool_)
