"""OME-Zarr 0.4 and 0.5 (and what of 0.1 to 0.3 is alike), in a folder or behind a URL."""

from __future__ import annotations

import base64
from functools import partial
from pathlib import Path
from typing import Any

from histoscribe.errors import SlideError
from histoscribe.slide.model import Level, Slide
from histoscribe.slide.tiff.metadata import believable
from histoscribe.slide.tiled import COPY_AGAIN
from histoscribe.slide.zarr.array import ZarrArray
from histoscribe.slide.zarr.metadata import OmeImage, OmeLevel, read_image
from histoscribe.slide.zarr.pixels import ZarrPixels
from histoscribe.slide.zarr.remote import Folder, Place, Remote

_MARKS = ("zarr.json", ".zattrs", ".zgroup", ".zarray")


def accepts(path: Path, head: bytes) -> bool:
    """Whether a folder is a zarr store."""
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


def read(path: Path) -> Slide:
    """Open a folder with the levels that it has.

    Raises
    ------
    SlideError
        If it holds no 8-bit RGB or grey OME-Zarr image, or is damaged.
    """
    return _slide(Folder(path), path, "")


def read_url(url: str) -> Slide:
    """Open an OME-Zarr image behind a URL.

    Raises
    ------
    SlideError
        As `read`, or if the server does not answer.
    DependencyError
        If the packages for URLs are not installed.
    """
    place = Remote(url)
    return _slide(place, Path(place.where), place.where)


def _slide(place: Place, path: Path, url: str) -> Slide:
    image = read_image(place)
    if image is None:
        raise SlideError(
            "there is no OME-Zarr image at this place",
            where=place.where,
            remedy="name the folder or URL whose zarr.json or .zattrs lists 'multiscales'",
        )
    notes: list[str] = []
    levels: list[Level] = []
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
        factor = _factor(levels, pixels, image.levels[0], described)
        if factor is None:
            notes.append(f"level {number} is left out: {pixels.shape[:2]} does not fit the other levels")
            continue
        if number == 0:
            notes += _doubts(image, array)
        levels.append(Level(pixels, factor))
    scale, um = image.levels[0].scale, image.um
    objective = _number(image.own.get("objective"))
    mpp, doubts = believable(
        None if scale is None or um is None else (scale[1] * um, scale[0] * um), objective
    )
    if scale is not None and um is None:
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


def _factor(levels: list[Level], pixels: ZarrPixels, finest: OmeLevel, described: OmeLevel) -> float | None:
    """Full-resolution pixels per pixel: as stated where the extent agrees, else by the extent, else None."""
    if not levels:
        return 1.0
    rows, columns = levels[0].shape
    down, across = rows / pixels.shape[0], columns / pixels.shape[1]
    if finest.scale and described.scale:
        stated = described.scale[1] / finest.scale[1]
        agrees = all(
            abs(full / stated - side) < 1 for full, side in zip((rows, columns), pixels.shape, strict=False)
        )
        if agrees and stated > levels[-1].downsample:
            return stated
    slack = 1.5 * max(across / pixels.shape[1], down / pixels.shape[0])
    if min(across, down) <= levels[-1].downsample or abs(across - down) > slack + 0.01 * across:
        return None
    return (down + across) / 2


def _doubts(image: OmeImage, array: ZarrArray) -> list[str]:
    extent = dict(zip(image.axes, array.shape, strict=True))
    doubts = [
        f"it holds {extent[axis]} {what}; the first is shown"
        for axis, what in (("t", "times"), ("z", "planes"))
        if extent.get(axis, 1) > 1
    ]
    if extent.get("c") == 4:
        doubts.append("it holds 4 channels; the first three are taken for red, green and blue")
    elif extent.get("c") == 3 and not image.colours:
        doubts.append("its three channels are taken for red, green and blue")
    return doubts


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 < value < 1e4 else None


def _profile(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise SlideError("its ICC profile is damaged", where=where, remedy=COPY_AGAIN) from error
