"""Pictures of genes on tissue, for those who have no screen at hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histoscribe.evaluation import Comparison
from histoscribe.files import replacing
from histoscribe.slide import Slide

_LONGEST_SIDE = 900
_LIMITS = (1.0, 99.0)


def paint_genes(comparison: Comparison, genes: Sequence[str], path: Path) -> None:
    """Draw genes in rows, and tissue, measurement, prediction and truth in columns, into a PNG.

    Parameters
    ----------
    comparison : Comparison
        A prediction beside a measurement; the truth is drawn where it is known.
    genes : sequence of str
        One row each. Every panel is stretched from its own 1st to its 99th percentile: sources differ
        in range, patterns are what is compared.
    path : Path
        The picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import EllipseCollection
    from matplotlib.figure import Figure

    section = comparison.section
    image, factor = thumbnail(section.slide)
    columns = {"measured": comparison.measured, "predicted": comparison.predicted}
    if comparison.truth is not None:
        columns["true"] = comparison.truth
    centres = section.centres / factor
    diameter = section.spot_um / section.mpp / factor
    figure = Figure(figsize=(3.0 * (len(columns) + 1), 3.0 * len(genes)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(genes), len(columns) + 1, squeeze=False)
    for row, gene in enumerate(genes):
        grid[row, 0].set_ylabel(gene, fontsize="large")
        for place, (title, values) in enumerate([("tissue", None), *columns.items()]):
            axes = grid[row, place]
            axes.imshow(image)
            axes.set(xticks=[], yticks=[])
            if row == 0:
                axes.set_title(title)
            if values is None:
                continue
            spots = EllipseCollection(
                diameter, diameter, 0, units="xy", offsets=centres[:, ::-1], transOffset=axes.transData
            )
            shown = values[:, comparison.column(gene)]
            spots.set(array=shown, cmap="viridis", clim=np.percentile(shown, _LIMITS))
            axes.add_collection(spots)
    with replacing(path) as fresh:
        figure.savefig(fresh, dpi=110, format="png")


def thumbnail(slide: Slide | None) -> tuple[NDArray[np.uint8], float]:
    """A small image of the slide, and full-resolution pixels per pixel of it; a white one for no slide."""
    if slide is None:
        return np.full((1, 1, 3), 255, dtype=np.uint8), 1.0
    level = slide.levels[-1]
    step = max(1, -(-max(level.shape) // _LONGEST_SIDE))
    return np.asarray(level.pixels[::step, ::step]), level.downsample * step
