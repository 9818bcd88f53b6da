"""From slides and sections to napari layers: µm in the viewer, true spot sizes, lazy pixels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer
from numpy.typing import NDArray

from histoscribe.arrays import Pixels, Wide
from histoscribe.palette import SPOT
from histoscribe.record import record_of
from histoscribe.section import Section
from histoscribe.slide import Slide
from histoscribe.slide.pixels import PixelArray

LayerData = tuple[Any, dict[str, Any], str]

UM = "um"
PIXEL = "pixel"
UNPAINTED = SPOT
DERIVED = "derived"
GENE = "gene"
COMPARED = "compared"
"""In the metadata of a difference: what was compared."""
OF = "map of"
"""In the metadata of a map: its section."""
SOURCE = "source_path"
"""In the metadata of a layer that a session brought back: the file that it was opened from."""
MOVES = ("affine", "rotate", "scale", "shear", "translate")
"""The events of a layer that somebody moves."""
TISSUE = "of section"
"""In the metadata of regions that a section brought along: its name."""
LAID, BROUGHT = "laid aside by", "brought back by"
"""In a layer's metadata: by how much (rows, columns) it was laid beside others, and panes took that back."""


class LevelForNapari:
    """A slide's level with the `size` that napari asks of every array; reads nothing by itself."""

    def __init__(self, pixels: PixelArray) -> None:
        self._pixels = pixels
        self.shape, self.dtype, self.ndim = pixels.shape, pixels.dtype, pixels.ndim
        self.chunks = pixels.chunks
        self.size = math.prod(pixels.shape)

    def __getitem__(self, key: Any) -> Pixels:
        return self._pixels[key]

    def __deepcopy__(self, memo: object) -> LevelForNapari:
        return self  # napari copies what a layer holds when it duplicates one

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self._pixels[:], dtype=dtype)


def add_layer(viewer: ViewerModel, described: LayerData) -> Layer:
    """Add a layer as it is described: data, keyword arguments, type."""
    data, about, kind = described
    layer: Layer = getattr(viewer, f"add_{kind}")(data, **about)
    return layer


def slide_layer(slide: Slide, *, name: str | None = None) -> LayerData:
    """Describe a slide as one multiscale image in µm, full-resolution pixel (0, 0) centred at the origin.

    A level that is coarser by `f` has its first pixel's centre at `(f - 1) / 2` full-resolution pixels, which
    is where a pyramid starts whose finest level is a reduced image. Where the µm per pixel are unknown, the
    world is in full-resolution pixels and the name says so.
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
    """Describe the spots of a section as points in µm, (row, column), at their true diameter."""
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


def has_lengths(layer: Layer) -> bool:
    """Whether rows and columns of a layer are in units of length."""
    return all(unit.is_compatible_with(UM) for unit in layer.units[-2:])


def affine_of(layer: Layer) -> Wide:
    """From (row, column) of a layer's data to the world, as a 3 × 3 matrix; of more axes the last two.

    The world is in µm; what is in no unit of length is taken as it is.
    """
    places = np.zeros((3, layer.ndim))
    places[1, -2] = places[2, -1] = 1
    origin, down, right = (np.asarray(layer.data_to_world(place), dtype=float)[-2:] for place in places)
    affine = np.eye(3)
    affine[:2] = np.column_stack([down - origin, right - origin, origin])
    if has_lengths(layer):
        affine[:2] *= [[(1.0 * unit).m_as(UM)] for unit in layer.units[-2:]]
    return affine


def moved(layer: Layer) -> Wide:
    """How a layer of a section or slide was moved from its µm to the world, 3 × 3; as without panes."""
    slide, own = slide_of(layer), np.eye(3)
    if slide is not None:
        about = slide_layer(slide)[1]
        own = np.diag([*about["scale"], 1.0])
        own[:2, 2] = about["translate"]
    elif "raster" in layer.metadata:
        own = layer.metadata["raster"].affine
    affine: Wide = affine_of(layer) @ np.linalg.inv(own)
    affine[:2, 2] += layer.metadata.get(BROUGHT, 0.0)
    return affine


def to_pixels(layer: Layer) -> Wide:
    """From the world to full-resolution pixels of the section or slide that a layer shows, 3 × 3."""
    mpp = tissue_of(layer).mpp or 1.0
    pixels: Wide = np.diag([1 / mpp, 1 / mpp, 1.0]) @ np.linalg.inv(moved(layer))
    return pixels


def placed_like(described: LayerData, layer: Layer) -> LayerData:
    """What is described in a section's µm, placed as a layer of that section was moved."""
    lies = moved(layer)
    lies[:2, 2] -= layer.metadata.get(BROUGHT, 0.0)
    aside = {key: layer.metadata[key] for key in (LAID, BROUGHT) if key in layer.metadata}
    described[1].setdefault("metadata", {}).update(aside)
    return placed(described, lies)


def placed(described: LayerData, affine: Wide) -> LayerData:
    """What is described in a section's µm, moved from there."""
    if not np.allclose(affine, np.eye(3)):
        described[1]["affine"] = affine @ described[1].get("affine", np.eye(3))
    return described


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


def tissue_of(layer: Layer) -> Section | Slide:
    """The section or slide behind a layer that is known to show one."""
    found = section_of(layer) or slide_of(layer)
    assert found is not None
    return found


def slide_of(layer: Layer | None) -> Slide | None:
    """The slide behind an H&E layer, None for every other layer and without one."""
    slide: Slide | None = None if layer is None else layer.metadata.get("slide")
    return slide


def lying_under(layer: Layer | None) -> Slide | None:
    """The slide that a layer shows, or that its section lies on, at the section's scale; None without one."""
    section = section_of(layer)
    if section is None or section.slide is None:
        return slide_of(layer)
    return section.scaled_slide


def path_of(layer: Layer) -> str:
    """The file that a layer was opened from; empty where it was not, or is no longer there."""
    path = str(layer.metadata.get(SOURCE) or layer.source.path or "")
    return str(Path(path).resolve()) if path and Path(path).exists() else ""


def is_same(one: Slide | None, slide: Slide) -> bool:
    """Whether one slide is another, whatever their scale."""
    return one is not None and one.levels is slide.levels


def shared_by(layer: Layer) -> set[object]:
    """What layers of the same tissue share: a section's name, a slide's levels."""
    section: Section | None = section_of(layer) or layer.metadata.get(OF)
    slide = slide_of(layer) or (section.slide if section is not None else None)
    name = section.name if section is not None else layer.metadata.get(TISSUE)
    return {*({name} if name else ()), *({id(slide.levels)} if slide is not None else ())}
