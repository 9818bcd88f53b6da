"""What the image branch sees: descriptors in units of their own section, and their context."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    *,
    own: bool = True,
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
    own : bool
        False: always in the training sections' units.

    Returns
    -------
    ndarray of float32, shape (tiles, d × (1 + radii))
    """
    return np.concatenate(
        list(image_blocks(features, centres_um, pitch_um, radii, training, own=own)), axis=1
    )


def image_blocks(
    features: NDArray[np.float32],
    centres_um: NDArray[np.float64],
    pitch_um: float,
    radii: Sequence[float],
    training: tuple[Scale, Scale] | None = None,
    *,
    own: bool = True,
) -> Iterator[NDArray[np.float32]]:
    """Yield `image_input` as blocks of d columns: the descriptors, then their means within each radius."""
    enough = training is None or (own and len(features) >= MIN_TILES)
    plain = standardised(features, scale_of(features) if enough or training is None else training[0])
    yield plain
    width = features.shape[1]
    for number, radius in enumerate(radii):
        around = context_means(plain, centres_um, pitch_um, (radius,))
        columns = slice(number * width, (number + 1) * width)
        if enough or training is None:
            yield standardised(around, scale_of(around))
        else:
            yield standardised(around, (training[1][0][columns], training[1][1][columns]))


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
