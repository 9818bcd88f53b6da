"""Bins and dense grids as images in µm: a gene of a million bins is one array, not a million points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Image, Layer
from napari.utils import Colormap
from napari.utils.colormaps.standardize_color import transform_color
from numpy.typing import ArrayLike, NDArray

from histoscribe.arrays import Wide
from histoscribe.palette import MARK
from histoscribe.section import Section
from histoscribe.section.raster import Raster, raster_of
from histoscribe.widgets.layers.colours import DIFFERENCE, Limits, mixed, table_of
from histoscribe.widgets.layers.layers import UM, LayerData, kind_of, placed_like, spot_layer

PLAIN = "gray_r"
STRAIGHT = 1e-3
_GREY = 0.25
_NONE = np.zeros(0, dtype=np.intp)
_painted: WeakKeyDictionary[Image, Any] = WeakKeyDictionary()
_marked: WeakKeyDictionary[Image, NDArray[np.intp]] = WeakKeyDictionary()


def raster_layer(
    section: Section, *, name: str | None = None, raster: Raster | None = None
) -> LayerData | None:
    """Describe a section whose spots form a gapless raster as one image in µm, not yet painted.

    None where the spots are no raster: draw them as points then. Pixels without a spot are NaN, which napari
    leaves clear. `metadata` holds `section`, `adata` and `raster`.
    """
    raster = raster or raster_of(section)
    if raster is None:
        return None
    described: dict[str, Any] = {
        "name": name or f"{section.name} {kind_of(section)}",
        "colormap": PLAIN,
        "contrast_limits": (0.0, 1.0),
        "interpolation2d": "nearest",
        "opacity": 0.85,
        "units": (UM, UM),
        "metadata": {"section": section, "adata": section.table, "raster": raster},
    }
    step, full = raster.step_um, raster.affine
    described["scale"] = (step, step)
    if np.abs(full[:2, :2] / step - np.eye(2)).max() < STRAIGHT:
        described["translate"] = tuple(full[:2, 2])
    else:  # a rotation, shear or flip on top
        described["affine"] = full @ np.diag([1 / step, 1 / step, 1.0])
    return raster.image(_plain(raster)), described, "image"


def like(layer: Layer, section: Section, name: str) -> LayerData:
    """Describe a layer's section once more as that layer is drawn and placed: as a raster, else as points."""
    found = raster_layer(section, name=name, raster=layer.metadata["raster"]) if is_raster(layer) else None
    return placed_like(found or spot_layer(section, name=name), layer)


def paint_raster(
    layer: Image,
    genes: Sequence[str],
    shown: Mapping[str, NDArray[np.floating]],
    bounds: Mapping[str, Limits],
    colour_map: str,
) -> None:
    """Show one gene by a colour map, several as inks in the order of `genes`, none plain."""
    _painted[layer] = genes, shown, bounds, colour_map
    marked = _marked.get(layer, _NONE)
    if not shown:
        recolour(layer, _plain(layer.metadata["raster"]), (0.0, 1.0), PLAIN)
    elif len(genes) > 1 or len(marked):
        colours = mixed(genes, shown, bounds, colour_map)
        colours[marked] = transform_color(MARK)
        _show(layer, layer.metadata["raster"].picture(colours), rgb=True)
        layer.contrast_limits_range = layer.contrast_limits = (0.0, 255.0)
    else:
        recolour(layer, shown[genes[0]], bounds[genes[0]], colour_map)


def mark_bins(layer: Image, rows: NDArray[np.intp]) -> None:
    """Show these bins of a painted raster layer in the colour of marks, all others as they are."""
    if np.array_equal(rows, _marked.get(layer, _NONE)):
        return
    _marked[layer] = rows
    if layer in _painted:
        paint_raster(layer, *_painted[layer])


def recolour(layer: Image, values: ArrayLike, limits: Limits, colour_map: str) -> None:
    """Show other values on a raster layer."""
    _show(layer, layer.metadata["raster"].image(np.asarray(values, dtype=np.float32)), rgb=False)
    layer.contrast_limits_range = layer.contrast_limits = limits
    if layer.colormap.name != colour_map:
        differs = colour_map == DIFFERENCE
        layer.colormap = Colormap(table_of(DIFFERENCE), name=DIFFERENCE) if differs else colour_map


def is_raster(layer: Layer) -> bool:
    """Whether a layer was made from what `raster_layer` describes."""
    return "raster" in layer.metadata


def _plain(raster: Raster) -> Wide:
    return np.full(len(raster.pixel), _GREY)


def _show(layer: Image, pixels: NDArray[Any], *, rgb: bool) -> None:
    """Replace a layer's pixels: values and colours take turns in one layer, for others hold on to it."""
    layer.rgb = rgb
    layer.data = pixels
