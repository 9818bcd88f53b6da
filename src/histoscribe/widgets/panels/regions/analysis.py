"""What differs between classes of spots: one gene's spread, differential genes, and how classes lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray
from pandas import DataFrame

from histoscribe.arrays import Floats
from histoscribe.errors import HistoscribeError, RegionError
from histoscribe.evaluation.class_figures import figures_of
from histoscribe.evaluation.regions import (
    class_neighbourhood,
    class_statistics,
    classes_of,
    differential_genes,
    morans_i,
)
from histoscribe.progress import Progress
from histoscribe.section import Section, log_gene
from histoscribe.tiles import Region, areas as sizes_of
from histoscribe.widgets.layers.layers import section_of, slide_of
from histoscribe.widgets.layers.regions import Colour, regions_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Analysis = Callable[["ClassedSpots", Progress], DataFrame]
    Counted = tuple[list[Region], "ClassedSpots | None", dict[str, tuple[int, float]]]

_GREY: Colour = (140, 140, 140)


@dataclass(frozen=True, eq=False)
class ClassedSpots:
    """What is analysed: spots, regions, the class of each spot, the colour of each class."""

    section: Section
    regions: tuple[Region, ...]
    labels: NDArray[np.str_]
    colours: dict[str, Colour]

    @property
    def classes(self) -> list[str]:
        """The classes that have spots."""
        return sorted(set(self.labels[self.labels != ""]))

    def counts(self) -> dict[str, tuple[int, float]]:
        """Spots and area in mm² of each class."""
        frame = self.statistics(self.labels != "")
        return {str(name): (int(row["spots"]), float(row["area_mm2"])) for name, row in frame.iterrows()}

    def statistics(self, values: NDArray[Any]) -> DataFrame:
        """What the values of each class's spots are like."""
        return class_statistics(values, self.labels, self.regions, self.section.mpp)

    def spread(self, gene: str) -> tuple[dict[str, tuple[Floats, Colour]], DataFrame]:
        """One gene's values by class with the class's colour, spots outside last; and their statistics."""
        values = log_gene(self.section, gene)
        groups = {name: (values[self.labels == name], colour) for name, colour in self.colours.items()}
        groups["outside"] = values[self.labels == ""], _GREY
        return groups, self.statistics(values)


def classed(section: Section, drawn: Sequence[Region]) -> ClassedSpots:
    """Spots by the class of the regions that hold them; `RegionError` if none of these has a class."""
    regions = tuple(one for one in drawn if one.name)
    if not regions:
        raise RegionError("no shape has a class yet", remedy="mark a class and draw, or give it to a shape")
    labels = classes_of(section, regions)
    return ClassedSpots(section, regions, labels, {one.name: one.colour for one in regions})


def counted(beneath: Layer | None, drawn: Layer | None) -> Counted:
    """The regions on a layer, its spots by class, and spots and area of each; empty where there are none."""
    regions: list[Region] = []
    with suppress(HistoscribeError):
        if beneath is not None and drawn is not None:
            regions, section, slide = regions_of(drawn, beneath), section_of(beneath), slide_of(beneath)
            if slide is not None:
                return regions, None, areas(regions, slide.mpp)
            if section is not None:
                spots = classed(section, regions)
                return regions, spots, spots.counts()
    return regions, None, {}


def areas(regions: Sequence[Region], mpp: float | None) -> dict[str, tuple[int, float]]:
    """No spots, and the area in mm² of each class of regions on a slide; NaN where its scale is unknown."""
    found: dict[str, tuple[int, float]] = {}
    for one, size in zip(regions, sizes_of(regions), strict=True):
        found[one.name] = 0, found.get(one.name, (0, 0.0))[1] + size * ((mpp or np.nan) / 1000) ** 2
    return found


def differential(first: str, second: str, spots: ClassedSpots, progress: Progress) -> DataFrame:
    """Genes that differ between two classes."""
    return differential_genes(spots.section, spots.labels, first, second, progress=progress)


def drawn(first: str, second: str, spots: ClassedSpots, progress: Progress) -> dict[str, Figure]:
    """Volcano, heat map and dot plot of the genes that differ between two classes."""
    return figures_of(differential(first, second, spots, progress), spots.section, spots.labels)


def neighbourhood(spots: ClassedSpots, _: Progress) -> DataFrame:
    """How the classes lie to each other."""
    return class_neighbourhood(spots.section, spots.labels)


def patterns(spots: ClassedSpots, progress: Progress) -> DataFrame:
    """Genes with a pattern inside the regions; of many genes, the 2,000 most variable are looked at."""
    progress.report("looking for patterns")
    return morans_i(spots.section, inside=spots.labels != "")
