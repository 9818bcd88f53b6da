"""What the image branch sees: descriptors in units of their own section or of training, and their context."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from histoscribe.graphs import context_means
from histoscribe.predictor.linear import pooled

if TYPE_CHECKING:
    from histoscribe.predictor.encoded import EncodedSection

MIN_TILES = 30
_CLIP = 5.0

Scale = tuple[NDArray[np.float32], NDArray[np.float32]]
Unit = Literal["section", "training"]
UNITS: tuple[Unit, ...] = ("section", "training")


def scale_of(values: NDArray[np.float32]) -> Scale:
    """Mean and standard deviation per column, each of shape (d,)."""
    return pooled([values])


def standardised(values: NDArray[np.float32], scale: Scale) -> NDArray[np.float32]:
    """Z-scores, clipped to ±5; columns that do not vary become zero."""
    mean, deviation = scale
    safe = np.where(deviation > 1e-6, deviation, np.inf)
    return np.clip((values - mean) / safe, -_CLIP, _CLIP).astype(np.float32)


@dataclass(frozen=True, eq=False)
class InputSpace:
    """How descriptors become the image input: z-scores, beside their means around each spot, z-scored too.

    Staining differs from slide to slide; units of the section itself take that out and need no label, and
    units of the training sections keep it: slides of one laboratory tell by it whom they are like. A part of
    a section is measured in the units of the whole, or tumour alone would look like the average of tumour
    and stroma. Fewer than `MIN_TILES` tiles are too few to know the section by.
    """

    pitch_um: float
    """Length in which `radii` are counted: the pitch of the training sections."""
    radii: tuple[float, ...]
    """Reaches of the context."""
    units: tuple[Unit, ...]
    """`section`, `training` or both."""
    descriptors: Scale
    context: Scale
    """`descriptors` and `context`: of the training descriptors, and of their context: one radius after the
    other."""

    @classmethod
    def learned(
        cls,
        sections: Sequence[EncodedSection],
        radii: tuple[float, ...],
        units: tuple[Unit, ...],
        pitch_um: float | None = None,
    ) -> InputSpace:
        """With the scales, and where none is given the median pitch, of these training sections."""
        pitch_um = pitch_um or float(np.median([section.pitch_um for section in sections]))
        wholes = (section.features if section.slide is None else section.slide for section in sections)
        scale = pooled(wholes)
        around = (
            context_means(standardised(section.features, scale), section.centres_um, pitch_um, radii)
            for section in sections
        )
        return cls(pitch_um, radii, units, scale, pooled(around))

    def blocks(
        self,
        features: NDArray[np.float32],
        centres_um: NDArray[np.float64],
        slide: NDArray[np.float32] | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """Yield the image input as blocks (tiles, d): per unit the descriptors, then their means per radius.

        `features` (tiles, d); `centres_um` (tiles, 2); `slide` (other tiles, d): descriptors of tiles all
        over the slide, where the tiles are a part of it.
        """
        whole = features if slide is None else slide
        width = features.shape[1]
        for unit in self.units:
            own = unit == "section" and len(whole) >= MIN_TILES
            plain = standardised(features, scale_of(whole) if own else self.descriptors)
            yield plain
            for number, radius in enumerate(self.radii):
                around = context_means(plain, centres_um, self.pitch_um, (radius,))
                columns = slice(number * width, (number + 1) * width)
                known = self.context[0][columns], self.context[1][columns]
                yield standardised(around, scale_of(around) if own and slide is None else known)

    def of(self, section: EncodedSection) -> NDArray[np.float32]:
        """The image input of a section's spots, shape (spots, units × (1 + radii) × d)."""
        return np.concatenate(list(self.blocks(section.features, section.centres_um, section.slide)), axis=1)
