"""Images that a table holds or names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from histoscribe.errors import SlideError
from histoscribe.section.alignment import opened, rebased
from histoscribe.section.describe import number_in, text_in
from histoscribe.slide import Level, Slide

_IMAGES = (("hires", "tissue_hires_scalef"), ("lowres", "tissue_lowres_scalef"))


def held_image(entry: Mapping[str, Any], path: Path) -> Slide | None:
    """The image within an entry of `uns["spatial"]`, in full-resolution pixels.

    Colours are bytes, 16-bit numbers, or fractions of 1 as matplotlib reads them.
    """
    import zarr

    images, scales = entry.get("images", {}), entry.get("scalefactors", {})
    if not isinstance(images, Mapping) or not isinstance(scales, Mapping):
        return None
    for kind, key in _IMAGES:
        image = np.asarray(images[kind]) if kind in images else None
        scale = number_in(scales, key, path)
        if not scale or image is None or image.ndim != 3 or image.shape[2] not in (3, 4) or not image.size:
            continue
        pixels = image[..., :3]
        if image.dtype.kind == "f":
            full = 255.0 if np.nanmax(pixels) <= 1.5 else 1.0
            pixels = np.nan_to_num(np.clip(pixels * full, 0, 255)).round()
        elif image.dtype == np.uint16:
            pixels = pixels >> 8
        elif image.dtype != np.uint8:
            continue
        rows, columns, _ = pixels.shape
        chunks = (min(rows, 512), min(columns, 512), 3)
        data = np.ascontiguousarray(pixels, dtype=np.uint8)
        array: Any = zarr.create_array(store={}, data=data, chunks=chunks)
        return Slide(path=path, levels=(Level(array, 1 / scale),), vendor="image in the h5ad file")
    return None


def named_slide(own: Mapping[str, Any], path: Path) -> tuple[Slide | None, list[str]]:
    """The slide that our own file names, if it lies in the file's folder or below."""
    named = text_in(own, "slide")
    if named is None:
        return None, []
    folder = path.resolve().parent
    target = (folder / named).resolve()
    if not target.is_relative_to(folder):
        return None, [
            f"its slide {named} lies outside the file's folder and was not opened: name it yourself"
        ]
    if target == path.resolve() or not target.exists():
        return None, [f"its slide {named} is no longer there"]
    try:
        slide = opened(target)
    except SlideError as error:
        return None, [f"its slide {named} cannot be read ({error.problem})"]
    downsample = number_in(own, "slide_downsample", path) or 1.0
    return (slide if downsample == 1.0 else rebased(slide, downsample)), []
