"""What the image branch sees: descriptors in units of their own section or of training, and their context."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from histoscribe.graphs import context_means

if TYPE_CHECKING:
    from histoscribe.predictor.encoded import EncodedSection

MIN_TILES = 30
_CLIP = 5.0

Scale = tuple[NDArray[np.float32], NDArray[np.float32]]
Unit = Literal["section", "training"]
UNITS: tuple[Unit, ...] = ("section", "training")


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
    training: tuple[Scale, Scale],
    *,
    units: Sequence[Unit] = ("section",),
    slide: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Z-scored descriptors, beside their means around each spot, z-scored likewise.

    Staining differs from slide to slide; units of the section itself take that out and need no label, and
    units of the training sections keep it: slides of one laboratory tell by it whom they are like. A part of
    a section is measured in the units of the whole, or tumour alone would look like the average of tumour
    and stroma. Fewer than `MIN_TILES` tiles are too few to know the section by.

    Parameters
    ----------
    features : ndarray, shape (tiles, d)
    centres_um : ndarray, shape (tiles, 2)
    pitch_um : float
        Length in which `radii` are counted: the pitch of the training sections.
    radii : sequence of float
    training : (Scale, Scale)
        Of the training descriptors and of the training context.
    units : sequence of str
        `section`, `training` or both.
    slide : ndarray, shape (other tiles, d), optional
        Descriptors of tiles all over the slide, where the tiles are a part of it.

    Returns
    -------
    ndarray of float32, shape (tiles, units × (1 + radii) × d)
    """
    return np.concatenate(
        list(image_blocks(features, centres_um, pitch_um, radii, training, units=units, slide=slide)), axis=1
    )


def image_blocks(
    features: NDArray[np.float32],
    centres_um: NDArray[np.float64],
    pitch_um: float,
    radii: Sequence[float],
    training: tuple[Scale, Scale],
    *,
    units: Sequence[Unit] = ("section",),
    slide: NDArray[np.float32] | None = None,
) -> Iterator[NDArray[np.float32]]:
    """Yield `image_input` as blocks of d columns: per unit the descriptors, then their means per radius."""
    whole = features if slide is None else slide
    width = features.shape[1]
    for unit in units:
        own = unit == "section" and len(whole) >= MIN_TILES
        plain = standardised(features, scale_of(whole) if own else training[0])
        yield plain
        for number, radius in enumerate(radii):
            around = context_means(plain, centres_um, pitch_um, (radius,))
            columns = slice(number * width, (number + 1) * width)
            known = training[1][0][columns], training[1][1][columns]
            yield standardised(around, scale_of(around) if own and slide is None else known)


def section_input(
    section: EncodedSection,
    pitch_um: float,
    radii: Sequence[float],
    training: tuple[Scale, Scale],
    units: Sequence[Unit],
) -> NDArray[np.float32]:
    """`image_input` of an encoded section."""
    return image_input(
        section.features, section.centres_um, pitch_um, radii, training, units=units, slide=section.slide
    )


def training_scales(
    sections: Sequence[EncodedSection], pitch_um: float, radii: Sequence[float]
) -> tuple[Scale, Scale]:
    """Pooled scales of descriptors and context over the training sections, for `image_input`."""
    wholes = [section.features if section.slide is None else section.slide for section in sections]
    scale = scale_of(np.concatenate(wholes))
    around = [
        context_means(standardised(section.features, scale), section.centres_um, pitch_um, radii)
        for section in sections
    ]
    return scale, scale_of(np.concatenate(around))
