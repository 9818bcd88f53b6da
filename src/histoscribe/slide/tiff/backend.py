"""TIFF-based slides: SVS, SCN, QPTIFF, Philips, OME-TIFF and any other (pyramidal) RGB TIFF."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError, told_as
from histoscribe.slide.colour import GREY, TRANSPARENT, to_rgb
from histoscribe.slide.model import AssociatedImages, Slide
from histoscribe.slide.orientation import TURNED, UprightPixels, is_turned, upright
from histoscribe.slide.pixels import (
    CONVERT,
    COPY_AGAIN,
    MAX_DECODE,
    TO_PYRAMID,
    DecodedPixels,
    PixelArray,
    check_associated,
)
from histoscribe.slide.pyramid import Level, level_factor
from histoscribe.slide.scale import believable
from histoscribe.slide.tiff import segments
from histoscribe.slide.tiff.metadata import orientation_of, other_channels, read_metadata
from histoscribe.slide.tiff.pixels import TiffPixels

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

_MAX_TILE = 2**26  # pixels

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what matters becomes a warning of the slide
_NAMES = {"label": "label", "macro": "macro", "thumbnail": "thumbnail", "map": "macro"}
_MOST_PROFILE = 2**24  # bytes


def read(path: Path) -> Slide:
    """Open a TIFF as a slide with the levels that it has.

    Raises `SlideError` if it holds no 8-bit RGB or grey image, claims more than it can hold, or none of
    it can be decoded.
    """
    from tifffile import TiffFile

    # a damaged directory may fail anywhere inside tifffile
    damaged = told_as(SlideError, "a damaged TIFF", Exception, where=path, remedy=COPY_AGAIN)
    with damaged, ExitStack() as on_failure:
        tif = on_failure.enter_context(TiffFile(path, _multifile=False))
        if not len(tif.pages):
            raise SlideError("there is no image inside; the file is cut off", where=path, remedy=COPY_AGAIN)
        slide = _slide(tif, path)
        on_failure.pop_all()  # the slide holds it open
    return slide


def _slide(tif: TiffFile, path: Path) -> Slide:
    index, series = max(
        enumerate(tif.series), key=lambda item: item[1].keyframe.imagelength * item[1].keyframe.imagewidth
    )
    notes = []
    if segments.directory_is_cut(tif):
        notes.append("the file is cut off: images or levels that it should have are missing")
    if index > 0 and not tif.is_scn:
        notes.append(f"it holds {len(tif.series)} images; the largest, number {index + 1}, is shown")
    if beside := _as_large(tif, index):
        notes.append(f"{beside} more of its images are about as large, and are not shown")
    orientation = orientation_of(series.keyframe)
    levels: list[Level] = []
    content = segments.FileBytes(path)
    weakref.finalize(content, tif.close)
    for number, source in enumerate(series.levels):
        try:
            pixels, doubts = _pixels(source, path, content, number)
        except SlideError as error:
            if number == 0:
                raise
            notes.append(f"level {number} is left out: {error.problem}")
            continue
        if is_turned(orientation):
            pixels = UprightPixels(pixels, orientation)
        finest, coarse = series.keyframe.resolution[0], source.keyframe.resolution[0]
        stated = finest / coarse if coarse > 0 and finest > 0 else None
        factor = level_factor(levels, pixels.shape, stated)
        if factor is None:
            notes.append(f"level {number} is left out: {pixels.shape[:2]} does not fit the other levels")
            continue
        levels.append(Level(pixels, factor))
        notes += [doubt for doubt in doubts if doubt not in notes]
    if others := other_channels(tif, index):
        problem = f"shows {', '.join(others)}, not red, green and blue: fluorescence?"
        raise SlideError(problem, where=path, remedy=CONVERT)
    if is_turned(orientation):
        notes.append(TURNED)
    vendor, spacing, objective = read_metadata(tif, series.keyframe, index)
    mpp, scale_doubts = believable(spacing, objective)
    profile = series.keyframe.tags.get("InterColorProfile")
    sensible = profile is not None and 0 < profile.count <= _MOST_PROFILE
    return Slide(
        path=path,
        levels=tuple(levels),
        mpp=mpp,
        vendor=vendor,
        objective=objective,
        warnings=(*notes, *scale_doubts),
        associated=associated_images(tif, index, path),
        profile=partial(_profile, path, index) if sensible else None,
    )


def _as_large(tif: TiffFile, main: int) -> int:
    """How many other images may be tissue too: of at least half the pixels, and not of the whole glass."""
    areas = [one.keyframe.imagelength * one.keyframe.imagewidth for one in tif.series]
    named = [one.name.lower().split()[:1] for one in tif.series]
    others = (place for place in range(len(areas)) if place != main and not (tif.is_scn and place == 0))
    return sum(2 * areas[place] >= areas[main] and not set(named[place]) & set(_NAMES) for place in others)


def _pixels(
    level: TiffPageSeries, path: Path, content: segments.FileBytes, number: int
) -> tuple[PixelArray, list[str]]:
    """Check one level and wrap it; also what is doubtful about it."""
    page = level.keyframe
    rows, columns = page.imagelength, page.imagewidth
    if rows < 1 or columns < 1:
        raise SlideError(f"level {number} has no pixels", where=path, remedy=COPY_AGAIN)
    size = page.parent.filehandle.size
    lost = segments.lost_tiles(level, size)
    if lost is None:
        problem = f"claims {rows} × {columns} pixels, more than {size} bytes can hold"
        raise SlideError(problem, where=path, remedy=COPY_AGAIN)
    height, width = segments.tile_shape(page)
    if page.is_tiled and height * width > _MAX_TILE:
        raise SlideError(f"has tiles of {height} × {width} pixels", where=path, remedy=TO_PYRAMID)
    if not page.is_tiled and rows * columns > MAX_DECODE:
        problem = f"{rows} × {columns} pixels are stored without tiles, too many to decode at once"
        raise SlideError(problem, where=path, remedy=TO_PYRAMID)
    if lost.all():
        raise SlideError("cut off: none of its pixels are in the file", where=path, remedy=COPY_AGAIN)
    pixels = TiffPixels(level, path, content, lost)
    pixels.probe()
    doubts = []
    if pixels.channels and page.photometric == 1:
        doubts.append("its three channels are taken for red, green and blue")
    if pixels.samples < 3:
        doubts.append(GREY)
    if pixels.alpha:
        doubts.append(TRANSPARENT)
    elif pixels.samples == 4:
        doubts.append("its fourth sample, of which the file does not say what it is, is left out")
    if lost.any():
        doubts.append(f"{lost.sum()} of {lost.size} tiles of level {number} lie beyond the end of the file")
    if page.is_tiled:
        return pixels, doubts
    return DecodedPixels(rows, columns, partial(pixels.block, 0, 0, rows, columns)), doubts


def associated_images(tif: TiffFile, main: int, path: Path) -> AssociatedImages:
    """Find label, macro image and thumbnail among the series of a file.

    `main`: which series is the tissue; `path`: the file, opened anew when an image is asked for.
    """
    found: dict[str, Callable[[], NDArray[np.uint8]]] = {}
    for index, series in enumerate(tif.series):
        if index == main:
            continue
        words = series.name.lower().split()
        name = _NAMES.get(words[0] if words else "")
        if tif.is_scn and index == 0:
            name = "macro"  # Leica's first image shows the whole glass
        if name is not None and name not in found:
            found[name] = partial(_picture, path, index, name)
    return found


def _picture(path: Path, index: int, name: str) -> NDArray[np.uint8]:
    with _series(path, index, f"{name} image") as series:
        page = series.keyframe
        check_associated(page.imagelength, page.imagewidth, name, path)
        segments.check_segments(series, segments.FileBytes(path))
        pixels = np.asarray(page.asrgb() if page.photometric == 3 else page.asarray())
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
            raise ValueError(f"{pixels.dtype} of shape {pixels.shape}")
        return np.ascontiguousarray(upright(to_rgb(pixels), orientation_of(page)))


def _profile(path: Path, index: int) -> bytes:
    with _series(path, index, "ICC profile") as series:
        return bytes(series.keyframe.tags["InterColorProfile"].value)


@contextmanager
def _series(path: Path, index: int, what: str) -> Iterator[TiffPageSeries]:
    """A series of the file, opened anew; whatever fails in the block is a `SlideError`."""
    from tifffile import TiffFile

    damaged = told_as(SlideError, f"its {what} cannot be read", Exception, where=path, remedy=COPY_AGAIN)
    with damaged, TiffFile(path, _multifile=False) as tif:
        yield tif.series[index]
