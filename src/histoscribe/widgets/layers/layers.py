"""From slides and sections to napari layers: µm in the viewer, true spot sizes, lazy pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.palette import SPOT
from histoscribe.record import record_of
from histoscribe.slide import Slide

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from histoscribe.section import Section
    from histoscribe.slide.pixels import PixelArray

LayerData = tuple[Any, dict[str, Any], str]

UM = "um"
PIXEL = "pixel"
UNPAINTED = SPOT
DERIVED = "derived"
GENE = "gene"


class LevelForNapari:
    """A slide's level with the `size` that napari asks of every array; reads nothing by itself.

    Parameters
    ----------
    pixels : PixelArray
        Shape (rows, columns, 3), dtype uint8.
    """

    def __init__(self, pixels: PixelArray) -> None:
        self._pixels = pixels
        self.shape, self.dtype, self.ndim = pixels.shape, pixels.dtype, pixels.ndim
        self.chunks = pixels.chunks
        self.size = math.prod(pixels.shape)

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        return self._pixels[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self._pixels[:], dtype=dtype)


def add_layer(viewer: ViewerModel, described: LayerData) -> Layer:
    """Add a layer as it is described: data, keyword arguments, type."""
    data, about, kind = described
    layer: Layer = getattr(viewer, f"add_{kind}")(data, **about)
    return layer


def slide_layer(slide: Slide, *, name: str | None = None) -> LayerData:
    """Describe a slide as one multiscale image layer.

    The layer's world is in µm with full-resolution pixel (0, 0) centred at the origin. A level that
    is coarser by `f` has its first pixel's centre at `(f - 1) / 2` full-resolution pixels, which is where a
    pyramid starts whose finest level is a reduced image. Where the µm per pixel are unknown, the world is in
    full-resolution pixels and the name says so.

    Returns
    -------
    (list of level arrays, keyword arguments, "image")
    """
    pixel = slide.mpp if slide.mpp is not None else 1.0
    unit = UM if slide.mpp is not None else PIXEL
    factor = slide.levels[0].downsample
    title = name or slide.name
    if slide.mpp is None:
        title += " (µm per pixel unknown: shown in pixels)"
    pixels = [LevelForNapari(level.pixels) for level in slide.levels]
    described = {
        "name": title,
        "rgb": True,
        "multiscale": len(pixels) > 1,
        "scale": (pixel * factor, pixel * factor),
        "translate": (pixel * (factor - 1) / 2, pixel * (factor - 1) / 2),
        "units": (unit, unit),
        "metadata": {"slide": slide},
    }
    return pixels if len(pixels) > 1 else pixels[0], described, "image"


def spot_layer(section: Section, *, name: str | None = None) -> LayerData:
    """Describe the spots of a section as points in µm at their true diameter.

    Returns
    -------
    (ndarray (spots, 2) of centres in µm as (row, column), keyword arguments, "points")
    """
    described = {
        "name": name or f"{section.name} {kind_of(section)}",
        "size": section.spot_um,
        "border_width": 0,
        "face_color": UNPAINTED,
        "opacity": 0.85,
        "symbol": "disc",
        "canvas_size_limits": (0, 10_000),
        "units": (UM, UM),
        "metadata": {"section": section, "adata": section.table},
    }
    return section.centres_um, described, "points"


def kind_of(section: Section) -> str:
    """`measured` or `predicted`, as restored sections are shown too."""
    return "measured" if record_of(section.table).measured else "predicted"


def affine_of(layer: Layer) -> NDArray[np.float64]:
    """From (row, column) of a layer's data to the world, as a 3 × 3 matrix."""
    origin, down, right = (
        np.asarray(layer.data_to_world(place), dtype=float)[-2:] for place in ((0, 0), (1, 0), (0, 1))
    )
    affine = np.eye(3)
    affine[:2] = np.column_stack([down - origin, right - origin, origin])
    return affine


def section_of(layer: Layer | None) -> Section | None:
    """The section behind a layer of spots, None for every other layer and without one."""
    section: Section | None = None if layer is None else layer.metadata.get("section")
    return section


def has_own_spots(layer: Layer) -> bool:
    """Whether a layer shows spots that were opened or predicted, and is not derived from another."""
    return section_of(layer) is not None and DERIVED not in layer.metadata


def known_section(layer: Layer) -> Section:
    """The section behind a layer that is known to be one of spots."""
    section: Section = layer.metadata["section"]
    return section


def slide_of(layer: Layer | None) -> Slide | None:
    """The slide behind an H&E layer, None for every other layer and without one."""
    slide: Slide | None = None if layer is None else layer.metadata.get("slide")
    return slide
