"""OME-Zarr 0.4 and 0.5 (and what of 0.1 to 0.3 is alike), in a folder or behind a URL."""

import base64
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError, told_as
from histoscribe.slide.colour import DYES, GREY, RGB, TRANSPARENT, is_mixed, to_rgb
from histoscribe.slide.model import Slide
from histoscribe.slide.pixels import CONVERT, COPY_AGAIN
from histoscribe.slide.pyramid import Level, level_factor
from histoscribe.slide.scale import believable, positive
from histoscribe.slide.tiled import TiledPixels
from histoscribe.slide.zarr.array import ZarrArray
from histoscribe.slide.zarr.metadata import OmeImage, read_image
from histoscribe.slide.zarr.place import Folder, Place, Remote

_MOST_TILE = 2**26  # pixels


def read(path: Path) -> Slide:
    """Open a folder with the levels that it has.

    Raises `SlideError` if it holds no 8-bit RGB or grey OME-Zarr image, or is damaged.
    """
    return _slide(Folder(path), path, "")


def read_url(url: str) -> Slide:
    """Open an OME-Zarr image behind a URL.

    Raises `SlideError` as `read`, or if the server does not answer; `DependencyError` if the packages
    for URLs are not installed.
    """
    place = Remote(url)
    return _slide(place, Path(place.where), place.where)


def _slide(place: Place, path: Path, url: str) -> Slide:
    image = read_image(place)
    if image is None:
        remedy = "name the folder or URL whose zarr.json or .zattrs lists 'multiscales'"
        raise SlideError("there is no OME-Zarr image at this place", where=place.where, remedy=remedy)
    notes: list[str] = []
    levels: list[Level] = []
    finest = image.levels[0].scale
    for number, described in enumerate(image.levels):
        try:
            array = ZarrArray(place, described.path)
            pixels = ZarrPixels(array, image.axes, path, complete=image.own.get("complete") is True)
            pixels.probe()
        except SlideError as error:
            if number == 0:
                raise
            notes.append(f"level {number} is left out: {error.problem}")
            continue
        stated = described.scale[1] / finest[1] if finest and described.scale else None
        factor = level_factor(levels, pixels.shape, stated)
        if factor is None:
            notes.append(f"level {number} is left out: {pixels.shape[:2]} does not fit the other levels")
            continue
        if number == 0:
            notes += _doubts(image, array)
        levels.append(Level(pixels, factor))
    objective = positive(image.own.get("objective"))
    mpp, doubts = believable((finest[1], finest[0]) if finest and image.in_um else None, objective)
    if finest is not None and not image.in_um:
        doubts += ("it states the extent of a pixel without a unit",)
    profile = image.own.get("icc_profile")
    return Slide(
        path=path,
        levels=tuple(levels),
        mpp=mpp,
        vendor=str(image.own.get("vendor") or "OME-Zarr"),
        objective=objective,
        warnings=(*notes, *doubts),
        profile=partial(_profile, profile, place.where) if isinstance(profile, str) and profile else None,
        url=url,
    )


def _doubts(image: OmeImage, array: ZarrArray) -> list[str]:
    """What is doubtful about the pixels; `SlideError` where they are no tissue in transmitted light."""
    if image.labels:
        raise SlideError("holds labels of objects, not tissue", where=array.where, remedy="open its image")
    extent = dict(zip(image.axes, array.shape, strict=True))
    doubts = [
        f"it holds {extent[axis]} {what}; the first is shown"
        for axis, what in (("t", "times"), ("z", "planes"))
        if extent.get(axis, 1) > 1
    ]
    colours = image.colours[:3]
    if extent.get("c", 1) == 1:
        doubts.append(GREY)
    elif (
        any(map(DYES.search, image.channels))
        or is_mixed(image.channels, colours)
        or (len(set(colours)) > 1 and colours != RGB)
    ):
        problem = f"shows {', '.join(image.channels)}, not red, green and blue"
        raise SlideError(problem, where=array.where, remedy=CONVERT)
    elif colours != RGB:
        doubts.append("its first three channels are taken for red, green and blue")
    if extent.get("c") == 4:
        doubts.append(TRANSPARENT)
    return doubts


def _profile(text: str, where: str) -> bytes:
    with told_as(SlideError, "its ICC profile is damaged", ValueError, where=where, remedy=COPY_AGAIN):
        return base64.b64decode(text, validate=True)


class MissingTileWarning(UserWarning):
    """A tile is not stored, which may be meant so, and is shown in the fill value that the store states."""


class ZarrPixels(TiledPixels):
    """One level of an OME-Zarr image, chunk by chunk; the first of several times and planes.

    `axes`: names of its axes; `complete`: whether every chunk must be there: one that is not is broken then,
    and else in the fill value. Raises `SlideError` if it is not a grey, an RGB or an RGBA image.
    """

    def __init__(self, array: ZarrArray, axes: tuple[str, ...], path: Path, *, complete: bool) -> None:
        if len(array.shape) != len(axes):
            raise SlideError(f"axes {axes} do not fit the shape {array.shape}", where=path, remedy=CONVERT)
        self._array, self._axes, self._complete = array, axes, complete
        extent = dict(zip(axes, array.shape, strict=True))
        chunk = dict(zip(axes, array.chunks, strict=True))
        self._channels = extent.get("c", 1)
        self._per_chunk = chunk.get("c", 1)
        if self._channels not in (1, 3, 4):
            raise SlideError(f"{self._channels} channels are not an RGB image", where=path, remedy=CONVERT)
        if chunk["y"] * chunk["x"] > _MOST_TILE:
            raise SlideError(f"has tiles of {chunk['y']} × {chunk['x']} pixels", where=path, remedy=CONVERT)
        self._warned = False
        super().__init__(extent["y"], extent["x"], (chunk["y"], chunk["x"]), path)

    def read_tile(self, row: int, column: int) -> NDArray[np.uint8]:
        """One tile with all its channels; at the lower and right edge it may reach beyond the level."""
        parts = []
        for channel in range(0, self._channels, self._per_chunk):
            at = {"y": row, "x": column, "c": channel // self._per_chunk}
            part = self._array.chunk([at.get(axis, 0) for axis in self._axes])
            if part is None:
                part = self._fill()
            order = [self._axes.index(axis) for axis in ("y", "x", "c") if axis in self._axes]
            rest = [axis for axis in range(len(self._axes)) if axis not in order]
            planes = part.transpose(rest + order)[(0,) * len(rest)]
            parts.append(planes.reshape(*self._tile, -1))
        whole = np.concatenate(parts, axis=2)[:, :, : self._channels]
        return np.ascontiguousarray(to_rgb(whole))

    def _fill(self) -> NDArray[np.uint8]:
        if self._complete:
            raise ValueError("a chunk is missing")
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"{self._path.name}: tiles of the image with {self.shape[0]} × {self.shape[1]} pixels are "
                f"not stored; they are shown in its fill value {self._array.fill}",
                MissingTileWarning,
                stacklevel=2,
            )
        return np.full(self._array.chunks, self._array.fill, dtype=np.uint8)
