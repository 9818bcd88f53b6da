"""Where the tissue is: Otsu's threshold on the colour of a coarse level, then cleaning."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from histoscribe.slide.model import Region, Slide

_FAINTEST = 0.04  # optical density of colour below which nothing counts as tissue, however empty the slide
_DARKEST = 50  # brightest channel of ink, marker and black borders
_SMALLEST_UM = 120.0  # side of the smallest piece kept
_HOLE_UM = 120.0  # side of the largest hole filled


def tissue_mask(slide: Slide, *, mpp: float = 16.0) -> tuple[NDArray[np.bool_], float]:
    """Find the tissue.

    The colour of a pixel is the spread of its three optical densities, -log10 of the transmitted
    share; glass and grey dirt have none. It is split by Otsu's threshold.

    Parameters
    ----------
    slide : Slide
        With known µm per pixel.
    mpp : float
        µm per pixel of the mask.

    Returns
    -------
    mask : ndarray of bool, shape (rows, columns)
        True on tissue.
    factor : float
        Full-resolution pixels per pixel of the mask.

    Raises
    ------
    SlideError
        If the slide's µm per pixel are unknown.
    """
    from scipy.ndimage import binary_closing, binary_opening, gaussian_filter
    from skimage.filters import threshold_otsu

    image = slide.read(Region(0, 0, *slide.shape), mpp)
    density = -np.log10((image.astype(np.float32) + 1) / 256)
    colour = gaussian_filter(density.max(axis=2) - density.min(axis=2), sigma=1)
    colour[image.max(axis=2) < _DARKEST] = 0
    threshold = float(threshold_otsu(colour)) if np.ptp(colour) > 0 else 0.0  # type: ignore[no-untyped-call]
    # Otsu parts dark from pale tissue where there is little glass: half of it is still well above glass
    mask = colour > max(_FAINTEST, 0.5 * threshold)
    cross = np.ones((3, 3), dtype=np.bool_)
    mask = binary_closing(binary_opening(mask, cross), cross)
    mask = _without_specks(mask, (_SMALLEST_UM / mpp) ** 2)
    mask = ~_without_specks(~mask, (_HOLE_UM / mpp) ** 2)
    assert slide.mpp is not None  # reading has checked it
    return mask, mpp / slide.mpp


def _without_specks(mask: NDArray[np.bool_], smallest: float) -> NDArray[np.bool_]:
    """Drop connected pieces of fewer than `smallest` pixels."""
    from scipy.ndimage import label

    pieces, _ = label(mask)
    keep = np.bincount(pieces.ravel()) >= smallest
    keep[:1] = False
    return np.asarray(keep[pieces], dtype=np.bool_)
