"""OME-Zarr 0.4 and 0.5 (and what of 0.1 to 0.3 is alike), in a folder or behind a URL."""

from __future__ import annotations

import base64
from functools import partial
from pathlib import Path

from histoscribe.errors import SlideError
from histoscribe.slide.colour import GREY, TRANSPARENT
from histoscribe.slide.model import Slide
from histoscribe.slide.pixels import CONVERT, COPY_AGAIN
from histoscribe.slide.pyramid import Level, level_factor
from histoscribe.slide.scale import believable, positive
from histoscribe.slide.zarr.array import ZarrArray
from histoscribe.slide.zarr.metadata import RGB, OmeImage, read_image
from histoscribe.slide.zarr.pixels import ZarrPixels
from histoscribe.slide.zarr.place import Folder, Place, Remote


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
    finest, um = image.levels[0].scale, image.um
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
    mpp, doubts = believable((finest[1] * um, finest[0] * um) if finest and um else None, objective)
    if finest is not None and um is None:
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
    elif len(set(colours)) > 1 and colours != RGB:
        raise SlideError(
            f"shows {', '.join(image.channels)}, not red, green and blue", where=array.where, remedy=CONVERT
        )
    elif colours != RGB:
        doubts.append("its first three channels are taken for red, green and blue")
    if extent.get("c") == 4:
        doubts.append(TRANSPARENT)
    return doubts


def _profile(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise SlideError("its ICC profile is damaged", where=where, remedy=COPY_AGAIN) from error
