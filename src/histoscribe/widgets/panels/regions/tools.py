"""Regions without drawing corners: a brush, a wand that follows colour, marked spots, a gene's threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer

from histoscribe.arrays import Wide
from histoscribe.errors import RegionError, SlideError
from histoscribe.section import log_gene
from histoscribe.section.registration.transform import through
from histoscribe.tiles import Region, mask_regions, moved_regions, spot_regions
from histoscribe.widgets.layers.layers import (
    UM,
    affine_of,
    is_same,
    lying_under,
    section_of,
    slide_of,
    tissue_of,
    to_pixels,
)
from histoscribe.widgets.layers.regions import Colour

_SIDE = 2000
_SMOOTH = 1.0


def start_brush(viewer: ViewerModel, beneath: Layer, colour: Colour) -> Labels:
    """Add a layer to paint in, over all of the tissue, ready to be painted in."""
    low, high = (np.asarray(end)[-2:] for end in beneath.extent.world)
    fine = float((high - low).max()) / _SIDE
    rows, columns = np.ceil((high - low) / fine).astype(int) + 1
    layer = viewer.add_labels(
        np.zeros((rows, columns), dtype=np.uint8),
        name="brush",
        scale=(fine, fine),
        translate=low,
        units=(UM, UM) if tissue_of(beneath).mpp else None,
        opacity=0.5,
        colormap={1: [*(part / 255 for part in colour), 1.0], None: "transparent"},
    )
    layer.brush_size, layer.mode = _SIDE // 40, "paint"
    return layer


def painted(layer: Labels, beneath: Layer, name: str, colour: Colour) -> list[Region]:
    """What was painted, as regions of the tissue beneath."""
    found = mask_regions(np.asarray(layer.data) > 0, name, colour, smooth=_SMOOTH)
    return moved_regions(found, to_pixels(beneath) @ affine_of(layer)) if found else []


def alike(
    viewer: ViewerModel, beneath: Layer, place: Wide, tolerance: float, name: str, colour: Colour
) -> list[Region]:
    """The tissue around a place whose colour is like its own, as fine as it is shown and no further.

    `tolerance`: difference in CIELAB. Raises `SlideError` if there is no image, or the place lies outside it.
    """
    from scipy import ndimage
    from skimage.color import rgb2lab

    image = _image_of(viewer, beneath)
    level = image.data_level if image.multiscale else 0
    pixels: Any = image.data[level] if image.multiscale else image.data
    factor = image.data[0].shape[0] / pixels.shape[0] if image.multiscale else 1.0
    seen = np.clip(np.asarray(image.corner_pixels)[:, :2], 0, pixels.shape[:2])
    (top, left), (bottom, right) = seen.astype(int)
    own = through(np.linalg.inv(affine_of(image)), place[None])[0]
    row, column = np.round((own + 0.5) / factor - 0.5).astype(int) - (top, left)
    if not (0 <= row < bottom - top and 0 <= column < right - left):
        raise SlideError("there is no image there", where=image.name, remedy="click on the tissue")
    lab = rgb2lab(np.asarray(pixels[top:bottom, left:right])[..., :3])
    lab = ndimage.gaussian_filter(lab, (1, 1, 0))  # single pixels are noise
    parts, _ = ndimage.label(np.linalg.norm(lab - lab[row, column], axis=-1) <= tolerance)
    mask = ndimage.binary_closing(np.pad(parts == parts[row, column], 2), iterations=2)[2:-2, 2:-2]
    back = np.diag([factor, factor, 1.0])
    back[:2, 2] = (np.array([top, left]) + 0.5) * factor - 0.5
    found = mask_regions(mask, name, colour, smooth=_SMOOTH)
    return moved_regions(found, to_pixels(beneath) @ affine_of(image) @ back) if found else []


def around_spots(
    beneath: Layer, gene: str, threshold: float | None, name: str, colour: Colour
) -> list[Region]:
    """The spots that are marked (by a lasso), or those with at least so much of a gene.

    Raises `RegionError` if there are none.
    """
    section = section_of(beneath)
    if section is None:
        raise RegionError("a slide has no spots", where=beneath.name, remedy="choose a layer of spots")
    if threshold is None:
        rows = np.asarray(getattr(beneath, "border_width", np.zeros(section.table.n_obs))) > 0
    else:
        rows = log_gene(section, gene) >= threshold
    if not rows.any():
        remedy = "draw a lasso in Compare first" if threshold is None else "take a lower threshold"
        raise RegionError("no spot is chosen", where=beneath.name, remedy=remedy)
    return spot_regions(section.centres[rows], section.spacing_um / section.mpp, name, colour)


def _image_of(viewer: ViewerModel, beneath: Layer) -> Image:
    slide = lying_under(beneath)
    found = (one for one in viewer.layers if (own := slide_of(one)) is not None and is_same(slide, own))
    image = next(found, None)
    if image is None:
        raise SlideError("its slide is not open", where=beneath.name, remedy="open it with its H&E image")
    return image
