"""Pictures of genes on tissue, for those who have no screen at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.files import replacing
from histoscribe.section import Section
from histoscribe.slide import Slide

_LONGEST_SIDE = 900
_LIMITS = (1.0, 99.0)


def paint_genes(
    section: Section, genes: Sequence[str], columns: Mapping[str, NDArray[np.float32]], path: Path
) -> None:
    """Draw genes in rows and sources (measured, predicted) in columns, on the tissue, into a PNG.

    Parameters
    ----------
    section : Section
        Whose slide and spots are drawn.
    genes : sequence of str
        One row each.
    columns : mapping of str to ndarray, shape (spots, genes)
        Title of each column and its values, in the order of `genes`. Every panel is stretched from its
        own 1st to its 99th percentile: sources differ in range, patterns are what is compared.
    path : Path
        The picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import EllipseCollection
    from matplotlib.figure import Figure

    image, factor = thumbnail(section.slide)
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
            spots.set(array=values[:, row], cmap="viridis", clim=np.percentile(values[:, row], _LIMITS))
            axes.add_collection(spots)
    with replacing(path) as fresh:
        figure.savefig(fresh, dpi=110, format="png")


def expression_of(
    measured: Section, predicted: Section, genes: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    """Measured, predicted and true log expression of some genes, each of shape (spots, genes).

    `measured` is a simulated section: its layer `truth` holds the rates that the counts were drawn from.
    """
    from histoscribe.predictor.target import log_cp10k

    where = measured.table.var_names.get_indexer(genes)
    return {
        "measured": _dense(log_cp10k(measured.table.X)[:, where]),
        "predicted": _dense(predicted.table[:, genes].X),
        "true": _dense(log_cp10k(measured.table.layers["truth"])[:, where]),
    }


def _dense(values: Any) -> NDArray[np.float32]:
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float32)


def thumbnail(slide: Slide | None) -> tuple[NDArray[np.uint8], float]:
    """A small image of the slide, and full-resolution pixels per pixel of it; a white one for no slide."""
    if slide is None:
        return np.full((1, 1, 3), 255, dtype=np.uint8), 1.0
    level = slide.levels[-1]
    step = max(1, -(-max(level.shape) // _LONGEST_SIDE))
    return np.asarray(level.pixels[::step, ::step]), level.downsample * step
