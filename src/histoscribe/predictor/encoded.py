"""A section as the predictor sees it: descriptors, places and counts of its spots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from histoscribe.arrays import Floats, Numbers, Pixels, Wide
from histoscribe.errors import SectionError, TableError
from histoscribe.features import TileEncoder
from histoscribe.progress import Progress
from histoscribe.section import Section


@dataclass(frozen=True, eq=False)
class EncodedSection:
    """Spots of one section after the image has been read.

    Raises
    ------
    SectionError
        If the lengths do not agree, there is no spot, or a descriptor or position is not finite.
    TableError
        If gene names repeat.
    """

    name: str
    patient: str
    features: Floats
    """Descriptors of the spots' crops, as the encoder gave them, shape (spots, d)."""
    centres_um: Wide
    """Spot centres in µm as (row, column), shape (spots, 2)."""
    pitch_um: float
    """Distance of neighbouring spots in µm."""
    counts: Any
    """Raw counts of all genes, an array or CSR of shape (spots, genes)."""
    genes: Sequence[str]
    """Names of the columns of `counts`, each once."""
    spots: tuple[str, ...] = ()
    """Names of the spots; numbered where not given."""
    types: Numbers | None = None
    """Spot type of each spot, from nuclei or labels: never from expression. Shape (spots,)."""
    type_names: tuple[str, ...] = ()
    crops: Pixels | None = None
    """Small pictures of the spots' crops, shown as evidence, shape (spots, 48, 48, 3)."""
    slide: Floats | None = None
    """Descriptors all over the slide, where the spots are a part of it, shape (tiles, d)."""
    fineness_um: float | None = None
    """µm per pixel of the image as it truly is."""
    parts: tuple[int, ...] = ()
    """How many descriptors each part of a joined encoder gives; empty for other encoders."""

    def __post_init__(self) -> None:
        count = len(self.features)
        if not self.spots:
            object.__setattr__(self, "spots", tuple(str(number) for number in range(count)))
        lengths = {len(self.centres_um), self.counts.shape[0], len(self.spots), count}
        if len(lengths) > 1 or count == 0:
            raise SectionError(
                f"{count} descriptors, {len(self.centres_um)} positions and {self.counts.shape[0]} rows of "
                "counts do not belong together",
                where=self.name,
                remedy="join them by barcode first",
            )
        if not (np.isfinite(self.features).all() and np.isfinite(self.centres_um).all()):
            problem = "some descriptors or positions are not finite numbers"
            remedy = "drop these spots, they are never filled with zeros"
            raise SectionError(problem, where=self.name, remedy=remedy)
        if self.types is not None and (
            len(self.types) != count or not 0 <= self.types.min() <= self.types.max() < len(self.type_names)
        ):
            problem = "the spot types do not fit the spots or their names"
            raise SectionError(problem, where=self.name, remedy="give one type per spot")
        if self.counts.shape[1] != len(self.genes) or len(set(self.genes)) != len(self.genes):
            remedy = "make them unique"
            raise TableError("gene names repeat or do not fit the counts", where=self.name, remedy=remedy)

    @property
    def depth(self) -> Wide:
        """Counts of all genes of each spot, shape (spots,)."""
        return np.asarray(self.counts.sum(axis=1), dtype=np.float64).reshape(-1)

    def part(self, rows: Numbers, name: str) -> EncodedSection:
        """Only these spots, under another name; they keep the units of the whole."""
        return replace(
            self,
            name=name,
            features=self.features[rows],
            centres_um=self.centres_um[rows],
            counts=self.counts[rows],
            spots=tuple(self.spots[row] for row in rows),
            types=None if self.types is None else self.types[rows],
            crops=None if self.crops is None else self.crops[rows],
            slide=self.features if self.slide is None else self.slide,
        )

    def seen_by(self, descriptors: slice) -> EncodedSection:
        """With some of the descriptors alone, as of an encoder without parts."""
        slide = None if self.slide is None else np.ascontiguousarray(self.slide[:, descriptors])
        features = np.ascontiguousarray(self.features[:, descriptors])
        return replace(self, features=features, slide=slide, parts=())


def encode_section(
    section: Section, encoder: TileEncoder, *, crops: bool = False, progress: Progress | None = None
) -> EncodedSection:
    """Read the crops of a measured section's spots and describe them; spots without counts are left out.

    Parameters
    ----------
    crops : bool
        Whether to keep small pictures of the crops as well.

    Raises
    ------
    SectionError
        If the section has no slide or no spot with counts.
    """
    from histoscribe.features import encode_tiles
    from histoscribe.predictor.retrieval.evidence import SIDE
    from histoscribe.tiles import image_fineness, read_crops, spot_tiles

    slide = section.scaled_slide
    depth = np.asarray(section.table.X.sum(axis=1)).reshape(-1)
    counted = ~(depth == 0)
    if not counted.any():
        raise SectionError("no spot has any count", where=section.name, remedy="check the counts' file")
    if not counted.all():
        section = section.with_table(section.table[counted].copy())
    tiles = spot_tiles(section)
    features = encode_tiles(slide, tiles, encoder, progress=progress)
    pictures = None
    if crops:
        read = read_crops(slide, tiles, crop_um=encoder.crop_um, mpp=encoder.crop_um / SIDE)
        pictures = np.concatenate(list(read))
    return EncodedSection(
        name=section.name,
        patient=section.patient,
        features=np.asarray(features, dtype=np.float32),
        centres_um=section.centres_um,
        pitch_um=section.spacing_um,
        counts=section.table.X,
        genes=section.genes,
        spots=tuple(str(name) for name in section.table.obs_names),
        crops=pictures,
        fineness_um=image_fineness(slide, tiles, encoder.mpp),
        parts=tuple(part.dimension for part in getattr(encoder, "parts", ())),
    )
