"""Bins and dense grids as images in µm: a gene of a million bins is one array, not a million points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from histoscribe.widgets.layers import UM, LayerData, kind_of

if TYPE_CHECKING:
    from napari.layers import Image, Layer

    from histoscribe.section import Section
    from histoscribe.section.raster import Raster

PLAIN = "gray_r"
STRAIGHT = 1e-3


def raster_layer(section: Section, *, name: str | None = None) -> LayerData | None:
    """Describe a section whose spots form a gapless raster as one image in µm, not yet painted.

    Parameters
    ----------
    section : Section
        Visium HD bins, or a table predicted on a grid.
    name : str, optional
        The section's name and kind where not given.

    Returns
    -------
    (ndarray of float32 (rows, columns), keyword arguments, "image") or None
        None where the spots are no raster: draw them as points then. Pixels without a spot are NaN, which
        napari leaves clear. `metadata` holds `section`, `adata` and `raster`.
    """
    from histoscribe.section.raster import raster_of

    raster = raster_of(section)
    if raster is None:
        return None
    described = {
        "name": name or f"{section.name} {kind_of(section)}",
        "colormap": PLAIN,
        "contrast_limits": (0.0, 1.0),
        "interpolation2d": "nearest",
        "opacity": 0.85,
        "units": (UM, UM),
        "metadata": {"section": section, "adata": section.table, "raster": raster},
        **_placed(raster),
    }
    return raster.image(np.full(len(raster.pixel), 0.25)), described, "image"


def recolour(
    layer: Image,
    values: ArrayLike,
    *,
    limits: tuple[float, float] | None = None,
    colour_map: str | None = None,
) -> None:
    """Show other values on a raster layer.

    Parameters
    ----------
    layer : Image
        Made from what `raster_layer` describes.
    values : array, shape (spots,)
        In the order of the section's spots.
    limits : (float, float), optional
        Values at the ends of the colour scale; the smallest and largest value where not given.
    colour_map : str, optional
        A name that napari knows; unchanged where not given.
    """
    found = np.asarray(values, dtype=np.float32)
    low, high = limits or (float(np.nanmin(found)), float(np.nanmax(found)))
    layer.data = layer.metadata["raster"].image(found)
    layer.contrast_limits_range = layer.contrast_limits = (low, high if high > low else low + 1.0)
    if colour_map is not None and layer.colormap.name != colour_map:
        layer.colormap = colour_map


def is_raster(layer: Layer) -> bool:
    """Whether a layer was made from what `raster_layer` describes."""
    return "raster" in layer.metadata


def _placed(raster: Raster) -> dict[str, Any]:
    """Scale and translation; a rotation, shear or flip on top where the raster is not straight."""
    step, full = raster.step_um, raster.affine
    scale = (step, step)
    if np.abs(full[:2, :2] / step - np.eye(2)).max() < STRAIGHT:
        return {"scale": scale, "translate": tuple(full[:2, 2])}
    return {"scale": scale, "affine": full @ np.diag([1 / step, 1 / step, 1.0])}
