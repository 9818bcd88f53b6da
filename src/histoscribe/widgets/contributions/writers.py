"""Writers of the save dialog: a slide's layer as OME-TIFF or OME-Zarr."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.layers import Image
from napari.utils.notifications import show_info

from histoscribe.arrays import Pixels
from histoscribe.errors import SettingError
from histoscribe.slide import Level, Slide, write_slide
from histoscribe.slide.colour import to_rgb
from histoscribe.slide.pixels import RgbPixels
from histoscribe.slide.pyramid import complete
from histoscribe.widgets.jobs.tasks import waited_for
from histoscribe.widgets.parts.dialogs import path_to_write, telling

AT_ONCE = 1_000_000
"""Pixels that are written before anybody notices that the window waits."""


def write_image(path: str = "", data: Any = None, about: dict[str, Any] | None = None) -> list[str]:
    """Write an image layer to `.tif`, `.tiff` or `.zarr`, whole or not at all, without loss; gives the path.

    A slide's layer is written from the slide itself, with its scale and all levels; any other 8-bit RGB layer
    with the scale that it has in the viewer; a large one on another thread. Without arguments, as the command
    palette calls it, the chosen or first image is written, and the user is asked where to. Raises
    `HistoscribeError` if the layer is no RGB image, cannot be written, or writing was stopped.
    """
    if about is None:
        return _ask()
    slide = (about.get("metadata") or {}).get("slide")
    if slide is None:
        slide = _slide_of_array(data, about, Path(path))
    rows, columns = slide.levels[0].shape
    if rows * columns <= AT_ONCE:
        return [str(write_slide(slide, path))]
    written = waited_for(
        lambda progress: write_slide(slide, path, progress=progress), f"Saving {Path(path).name}"
    )
    return [str(written)]


def _ask() -> list[str]:
    viewer = napari.current_viewer()
    layers = [] if viewer is None else [viewer.layers.selection.active, *viewer.layers]
    layer = next((one for one in layers if isinstance(one, Image) and one.rgb), None)
    if layer is None:
        show_info("There is no slide to write: open one first.")
        return []
    path = path_to_write(None, "Save the slide", f"{layer.name}.ome.tif", "Slides (*.tif *.tiff *.zarr)")
    written: list[str] = []
    if path is not None:
        with telling():
            written = write_image(str(path), *layer.as_layer_data_tuple()[:2])
    return written


def _slide_of_array(data: Any, about: dict[str, Any], path: Path) -> Slide:
    levels = list(data) if about.get("multiscale") else [data]
    if not about.get("rgb") or any(level.dtype != np.uint8 or level.ndim != 3 for level in levels):
        problem = "only 8-bit RGB images are written as slides"
        raise SettingError(problem, where=about.get("name"), remedy="choose another format")
    full = levels[0].shape[0]
    known = [Level(_Rgb(level), full / level.shape[0]) for level in levels]
    units = [str(unit) for unit in about.get("units") or ()]
    mpp = float(about["scale"][-1]) if units and units[-1] in ("um", "micrometer") else None
    return Slide(Path(str(about.get("name") or path.name)), complete(known, path), mpp=mpp)


class _Rgb(RgbPixels):
    """An array of a layer, what is transparent laid on white as it is read."""

    def __init__(self, array: Any) -> None:
        rows, columns = array.shape[:2]
        super().__init__(rows, columns, (512, 512))
        self._array = array

    def block(self, top: int, left: int, bottom: int, right: int) -> Pixels:
        """Read a part of the array."""
        return to_rgb(np.asarray(self._array[top:bottom, left:right]))
