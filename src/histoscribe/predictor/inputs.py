"""What the image branch sees: descriptors in units of their own section or of training, and their context."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from histoscribe.arrays import Floats, Wide
from histoscribe.graphs import context_means
from histoscribe.graphs.spatial import Surroundings
from histoscribe.predictor.encoded import EncodedSection
from histoscribe.predictor.linear import pooled
from histoscribe.rows import Held, room, runs_of

MIN_TILES = 30
_CLIP = 5.0

Scale = tuple[Floats, Floats]
Unit = Literal["section", "training"]
UNITS: tuple[Unit, ...] = ("section", "training")


def scale_of(values: Held) -> Scale:
    """Mean and standard deviation per column, each of shape (d,)."""
    return pooled(values[rows] for rows in runs_of(values))


def standardised(values: Floats, scale: Scale) -> Floats:
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

    def runs(
        self, features: Held, centres_um: Wide, slide: Floats | None = None
    ) -> Iterator[tuple[int, slice, Floats]]:
        """Yield the image input in pieces: number of the block of columns, rows of tiles, values (rows, d).

        Blocks are, per unit, the descriptors, then their means per radius. Memory is bounded by the pieces
        and by the cells that `Surroundings` gathers tiles in.

        `features` (tiles, d); `centres_um` (tiles, 2); `slide` (other tiles, d): descriptors of tiles all
        over the slide, where the tiles are a part of it.
        """
        whole = features if slide is None else slide
        width, every, step = features.shape[1], runs_of(features), 1 + len(self.radii)
        own = [unit == "section" and len(whole) >= MIN_TILES for unit in self.units]
        section = scale_of(whole) if any(own) else self.descriptors
        scales = [section if mine else self.descriptors for mine in own]

        def plain(rows: slice) -> Floats:
            values = features[rows]
            return np.concatenate([standardised(values, scale) for scale in scales], axis=1)

        columns = [slice(unit * width, (unit + 1) * width) for unit in range(len(scales))]
        for rows in every:
            values = plain(rows)
            for unit, mine in enumerate(columns):
                yield unit * step, rows, values[:, mine]
        for number, radius in enumerate(self.radii):
            around = Surroundings(centres_um, self.pitch_um, radius)
            sums = around.gathered(map(plain, every), width * len(scales))
            reach = slice(number * width, (number + 1) * width)
            known = self.context[0][reach], self.context[1][reach]
            kept = {unit: room(features.shape) for unit, mine in enumerate(own) if mine and slide is None}
            for rows in every:
                values = around.means(sums, rows)
                for unit, mine in enumerate(columns):
                    if unit in kept:
                        kept[unit][rows] = values[:, mine]
                    else:
                        yield unit * step + 1 + number, rows, standardised(values[:, mine], known)
            while kept:
                unit, held = kept.popitem()
                scale = scale_of(held)
                for rows in every:
                    yield unit * step + 1 + number, rows, standardised(held[rows], scale)
                del held

    def whole(self, features: Floats, centres_um: Wide, slide: Floats | None = None) -> Floats:
        """All of `runs`, shape (tiles, blocks, d)."""
        blocks = len(self.units) * (1 + len(self.radii))
        out = np.empty((len(features), blocks, features.shape[1]), dtype=np.float32)
        for number, rows, values in self.runs(features, centres_um, slide):
            out[rows, number] = values
        return out

    def of(self, section: EncodedSection) -> Floats:
        """The image input of a section's spots, shape (spots, units × (1 + radii) × d)."""
        found = self.whole(section.features, section.centres_um, section.slide)
        return found.reshape(len(found), -1)
