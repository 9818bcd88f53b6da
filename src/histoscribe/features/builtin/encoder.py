"""The built-in encoder: colour, texture, structure and nuclei at several scales in µm, no download."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from histoscribe.features.builtin.colour import Named, colour, gaps
from histoscribe.features.builtin.nuclei import describe_nuclei, find_nuclei
from histoscribe.features.builtin.stain_scales import stain_scales
from histoscribe.features.builtin.texture import detail, direction, modulation, patterns
from histoscribe.features.encoder import check_crops

_BATCH = 4  # crops described at once: few, so that their maps stay in memory that is at hand


class BuiltinEncoder:
    """Hand-made descriptors of a crop of 512 µm at 1 µm per pixel.

    A crop's descriptors do not depend on the other crops of the batch, to the bit, and change by
    rounding only when the crop is turned by a right angle or mirrored. Stains are separated with fixed
    vectors: whoever compares slides standardises per slide.
    """

    name = "builtin-1"
    crop_um = 512.0
    mpp = 1.0

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """What each number is, with its scale and unit, in order."""
        side = round(self.crop_um / self.mpp)
        blank = np.full((1, side, side, 3), 255, dtype=np.uint8)
        return tuple(name for name, _ in _describe(blank, self.mpp))

    @property
    def dimension(self) -> int:
        """Length of one descriptor."""
        return len(self.feature_names)

    def encode(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Describe crops.

        Parameters
        ----------
        crops : ndarray of uint8, shape (n, 512, 512, 3)
            RGB at 1 µm per pixel.

        Returns
        -------
        ndarray of float32, shape (n, dimension)
            Finite; columns as in `feature_names`.

        Raises
        ------
        SettingError
            If the crops have another shape or dtype.
        """
        side = round(self.crop_um / self.mpp)
        check_crops(crops, side, self.name)
        out = np.empty((len(crops), self.dimension), dtype=np.float32)
        for start in range(0, len(crops), _BATCH):
            stop = start + _BATCH
            out[start:stop] = np.stack([values for _, values in _describe(crops[start:stop], self.mpp)], 1)
        return out


def _describe(crops: NDArray[np.uint8], mpp: float) -> Iterator[Named]:
    """Yield every descriptor with its name."""
    views = stain_scales(crops, mpp, levels=6, core_um=256)
    one, two, four, eight, sixteen, coarsest = views
    yield from colour(two, 64)
    yield from colour(two, 128)
    yield from colour(four, 256)
    yield from colour(four, 512)
    yield from gaps(eight, 256)
    yield from gaps(sixteen, 512)
    yield from detail(one, (128, 256))
    for view in (two, four, eight):
        yield from detail(view, (128, 256, 512))
    yield from detail(sixteen, (256, 512))
    yield from detail(coarsest, (512,))
    yield from direction(one, (64, 128, 256))
    for view in (two, four):
        yield from direction(view, (64, 128, 256, 512))
    for view in (eight, sixteen):
        yield from direction(view, (256, 512))
    yield from direction(coarsest, (512,))
    yield from modulation(one, 256)
    for view in (two, four, eight, sixteen):
        yield from modulation(view, 512)
    yield from patterns(two, 256)
    nuclei = find_nuclei(one)
    yield from describe_nuclei(nuclei, len(crops), 128)
    yield from describe_nuclei(nuclei, len(crops), 256)
