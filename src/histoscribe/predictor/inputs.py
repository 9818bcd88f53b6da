"""What the image branch sees: descriptors in units of their own section, and their context."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from histoscribe.graphs import context_means

MIN_TILES = 30
_CLIP = 5.0

Scale = tuple[NDArray[np.float32], NDArray[np.float32]]


def scale_of(values: NDArray[np.float32]) -> Scale:
    """Mean and standard deviation per column, each of shape (d,)."""
    wide = np.asarray(values, dtype=np.float64)
    return wide.mean(axis=0).astype(np.float32), wide.std(axis=0).astype(np.float32)


def standardised(values: NDArray[np.float32], scale: Scale) -> NDArray[np.float32]:
    """Z-scores, clipped to ±5; columns that do not vary become zero."""
    mean, deviation = scale
    safe = np.where(deviation > 1e-6, deviation, np.inf)
    return np.clip((values - mean) / safe, -_CLIP, _CLIP).astype(np.float32)


def image_input(
    features: NDArray[np.float32],
    centres_um: NDArray[np.float64],
    pitch_um: float,
    radii: Sequence[float],
    training: tuple[Scale, Scale] | None = None,
) -> NDArray[np.float32]:
    """Descriptors z-scored over their section, beside their means around each spot, z-scored likewise.

    Staining differs from slide to slide; units of the section itself take that out and need no label.
    Fewer than `MIN_TILES` tiles are too few to know the section by: they are measured in the training
    sections' units.

    Parameters
    ----------
    features : ndarray, shape (tiles, d)
    centres_um : ndarray, shape (tiles, 2)
    pitch_um : float
        Length in which `radii` are counted: the pitch of the training sections.
    radii : sequence of float
    training : (Scale, Scale), optional
        Of the training descriptors and of the training context.

    Returns
    -------
    ndarray of float32, shape (tiles, d × (1 + radii))
    """
    own = len(features) >= MIN_TILES or training is None
    plain = standardised(features, scale_of(features) if own or training is None else training[0])
    around = context_means(plain, centres_um, pitch_um, radii)
    around = standardised(around, scale_of(around) if own or training is None else training[1])
    return np.concatenate([plain, around], axis=1)


def training_scales(
    features: Sequence[NDArray[np.float32]],
    centres_um: Sequence[NDArray[np.float64]],
    pitch_um: float,
    radii: Sequence[float],
) -> tuple[Scale, Scale]:
    """Pooled scales of descriptors and context over the training sections, for `image_input`."""
    scale = scale_of(np.concatenate(features))
    around = [
        context_means(standardised(values, scale), centres, pitch_um, radii)
        for values, centres in zip(features, centres_um, strict=True)
    ]
    return scale, scale_of(np.concatenate(around))
