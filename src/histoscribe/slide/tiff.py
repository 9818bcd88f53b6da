"""TIFF-based slides: SVS, SCN, QPTIFF, Philips, OME-TIFF and any other (pyramidal) RGB TIFF."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError
from histoscribe.slide.damage import directory_is_cut, lost_tiles, tile_shape
from histoscribe.slide.metadata import read_metadata
from histoscribe.slide.model import WHITE, Level, Slide
from histoscribe.slide.pixels import MAX_DECODE, TO_PYRAMID, DecodedPixels, RgbPixels, to_rgb

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPageSeries

BROKEN = (255, 0, 255)
"""RGB colour of tiles that cannot be read: no stain looks like it."""

_MAGIC = (b"II\x2a\x00", b"MM\x00\x2a", b"II\x2b\x00", b"MM\x00\x2b")
MAX_TILE = 2**26
"""Most pixels of one tile."""

_PROBES = 4
_CONVERT = "convert it to an 8-bit RGB pyramid, for example with QuPath or vips"
_COPY_AGAIN = "copy the file again from where it was scanned"

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what matters becomes a warning of the slide


class BrokenTileWarning(UserWarning):
    """A tile could not be decoded and was painted in `BROKEN`."""


def accepts(head: bytes) -> bool:
    """Whether a file that starts with `head` is a TIFF or BigTIFF."""
    return head.startswith(_MAGIC)


def read(path: Path) -> Slide:
    """Open a TIFF as a slide with the levels that it has.

    Raises
    ------
    SlideError
        If it holds no 8-bit RGB or grey image, claims more than it can hold, or none of it can be decoded.
    """
    from tifffile import TiffFile

    tif = None
    try:
        tif = TiffFile(path)
        if not len(tif.pages):
            raise SlideError("there is no image inside; the file is cut off", where=path, remedy=_COPY_AGAIN)
        return _slide(tif, path)
    except Exception as error:  # a damaged directory may fail anywhere inside tifffile
        if tif is not None:
            tif.close()
        if isinstance(error, SlideError):
            raise
        reason = str(error).rstrip(".") or type(error).__name__
        raise SlideError(f"a damaged TIFF ({reason})", where=path, remedy=_COPY_AGAIN) from error


def _slide(tif: TiffFile, path: Path) -> Slide:
    index, series = max(
        enumerate(tif.series), key=lambda item: item[1].keyframe.imagelength * item[1].keyframe.imagewidth
    )
    notes = []
    if directory_is_cut(tif):
        notes.append("the file is cut off: images or levels that it should have are missing")
    if index > 0 and not tif.is_scn:
        notes.append(f"it holds {len(tif.series)} images; the largest, number {index + 1}, is shown")
    levels: list[Level] = []
    for number, source in enumerate(series.levels):
        try:
            pixels, doubts = _pixels(source, path, number)
        except SlideError as error:
            if number == 0:
                raise
            notes.append(f"level {number} is left out: {error.problem}")
            continue
        if levels and not _follows(levels, pixels):
            notes.append(f"level {number} is left out: {pixels.shape[:2]} does not fit the other levels")
            continue
        levels.append(Level(pixels, _factor(levels, pixels)))
        notes += doubts
    found = read_metadata(tif, series.keyframe, index)
    return Slide(
        path=path,
        levels=tuple(levels),
        mpp=found.mpp,
        vendor=found.vendor or str(tif.pages.first.software or "").strip(),
        objective=found.objective,
        warnings=(*notes, *found.warnings),
    )


def _factor(levels: list[Level], pixels: RgbPixels) -> float:
    """Full-resolution pixels per pixel: the mean of both sides, as scanners cut levels to whole pixels."""
    if not levels:
        return 1.0
    rows, columns = levels[0].shape
    return (rows / pixels.shape[0] + columns / pixels.shape[1]) / 2


def _follows(levels: list[Level], pixels: RgbPixels) -> bool:
    """Whether `pixels` shows the same field as the first level, coarser than the last one."""
    rows, columns = levels[0].shape
    across, down = columns / pixels.shape[1], rows / pixels.shape[0]
    slack = 1.5 * max(across / pixels.shape[1], down / pixels.shape[0])
    return min(across, down) > levels[-1].downsample and abs(across - down) <= slack + 0.01 * across


def _pixels(level: TiffPageSeries, path: Path, number: int) -> tuple[RgbPixels, list[str]]:
    """Check one level and wrap it; also what is doubtful about it."""
    page = level.keyframe
    rows, columns = page.imagelength, page.imagewidth
    if rows < 1 or columns < 1:
        raise SlideError(f"level {number} has no pixels", where=path, remedy=_COPY_AGAIN)
    size = page.parent.filehandle.size
    lost = lost_tiles(level, size)
    if lost is None:
        raise SlideError(
            f"claims {rows} × {columns} pixels, more than {size} bytes can hold",
            where=path,
            remedy=_COPY_AGAIN,
        )
    height, width = tile_shape(page)
    if page.is_tiled and height * width > MAX_TILE:
        raise SlideError(f"has tiles of {height} × {width} pixels", where=path, remedy=TO_PYRAMID)
    if not page.is_tiled and rows * columns > MAX_DECODE:
        raise SlideError(
            f"{rows} × {columns} pixels are stored without tiles, too many to decode at once",
            where=path,
            remedy=TO_PYRAMID,
        )
    if lost.all():
        raise SlideError("cut off: none of its pixels are in the file", where=path, remedy=_COPY_AGAIN)
    pixels = TiffPixels(level, path, lost)
    pixels.probe()
    doubts = []
    if pixels.channels and page.photometric == 1:
        doubts.append("its three channels are taken for red, green and blue")
    if lost.any():
        doubts.append(f"{lost.sum()} of {lost.size} tiles of level {number} lie beyond the end of the file")
    if page.is_tiled:
        return pixels, doubts
    return DecodedPixels(rows, columns, partial(pixels.block, 0, 0, rows, columns)), doubts


class TiffPixels(RgbPixels):
    """One level of a TIFF, read tile by tile through zarr.

    Parameters
    ----------
    level : TiffPageSeries
        The level.
    path : Path
        Its file, for messages.
    lost : ndarray of bool, shape (tile rows, tile columns)
        Tiles known to be broken.

    Attributes
    ----------
    channels : bool
        Whether colours are stored as separate channels, which might be other dyes.

    Raises
    ------
    SlideError
        If the level is not an 8-bit RGB or grey image.
    """

    def __init__(self, level: TiffPageSeries, path: Path, lost: NDArray[np.bool_]) -> None:
        import zarr

        page = level.keyframe
        super().__init__(page.imagelength, page.imagewidth, tile_shape(page))
        self._path, self._lost, self._tile = path, lost, tile_shape(page)
        axes = level.axes
        samples = [axis for axis in axes if axis not in "YX"]
        sizes = dict(zip(axes, level.shape, strict=True))
        count = sizes[samples[0]] if samples else 1
        if len(samples) > 1 or (samples and (samples[0] not in "SC" or count not in (3, 4))):
            raise SlideError(
                f"axes {axes} of {tuple(sizes.values())} are not an RGB image", where=path, remedy=_CONVERT
            )
        if level.dtype != np.uint8 or page.photometric not in (1, 2, 6):
            kind = f"{level.dtype} {getattr(page.photometric, 'name', page.photometric)}"
            raise SlideError(f"{kind} pixels are not 8-bit RGB", where=path, remedy=_CONVERT)
        if samples == ["C"] and page.photometric == 1 and count != 3:
            raise SlideError(f"{count} channels are not an RGB image", where=path, remedy=_CONVERT)
        self.channels = samples == ["C"]
        self._axes, self._sample = axes, samples[0] if samples else ""
        self._array: Any = zarr.open_array(store=level.aszarr(level=0, fillvalue=WHITE), mode="r")

    def block(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """See `RgbPixels.block`; broken tiles come back in the colour `BROKEN`."""
        tiles = list(self._tiles(top, left, bottom, right))
        if not any(self._lost[tile] for tile, _ in tiles):
            try:
                return self._decode(top, left, bottom, right)
            except Exception:  # a decoder may raise anything; which tile it was shows below
                pass
        out = np.empty((bottom - top, right - left, 3), dtype=np.uint8)
        for tile, (first, start, last, stop) in tiles:
            out[first - top : last - top, start - left : stop - left] = self._tile_or_mark(
                tile, first, start, last, stop
            )
        return out

    def probe(self) -> None:
        """Decode a few tiles; raise `SlideError` if none of them can be."""
        inside = np.argwhere(~self._lost)
        chosen = inside[np.linspace(0, len(inside) - 1, min(_PROBES, len(inside))).astype(int)]
        for row, column in chosen:
            top, left = row * self._tile[0], column * self._tile[1]
            try:
                self._decode(top, left, top + 1, left + 1)
            except Exception as error:  # as in block
                reason = error
            else:
                return
        raise SlideError(
            f"none of its tiles can be decoded ({reason})",
            where=self._path,
            remedy=f"{_COPY_AGAIN}, or {_CONVERT}",
        ) from reason

    def _decode(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        where = {"Y": slice(top, bottom), "X": slice(left, right)}
        part = np.asarray(self._array[tuple(where.get(axis, slice(None)) for axis in self._axes)])
        return to_rgb(part.transpose([self._axes.index(axis) for axis in "YX" + self._sample]))

    def _tiles(
        self, top: int, left: int, bottom: int, right: int
    ) -> Iterator[tuple[tuple[int, int], tuple[int, int, int, int]]]:
        """The tiles that a block touches, each with its part of the block as top, left, bottom, right."""
        height, width = self._tile
        for row in range(top // height, -(-bottom // height)):
            for column in range(left // width, -(-right // width)):
                yield (
                    (row, column),
                    (
                        max(top, row * height),
                        max(left, column * width),
                        min(bottom, (row + 1) * height),
                        min(right, (column + 1) * width),
                    ),
                )

    def _tile_or_mark(
        self, tile: tuple[int, int], top: int, left: int, bottom: int, right: int
    ) -> NDArray[np.uint8]:
        if not self._lost[tile]:
            try:
                return self._decode(top, left, bottom, right)
            except Exception:  # as in block
                self._lost[tile] = True
                warnings.warn(
                    f"{self._path.name}: the tile at row {top}, column {left} of the image with "
                    f"{self.shape[0]} × {self.shape[1]} pixels is broken; it is painted magenta",
                    BrokenTileWarning,
                    stacklevel=2,
                )
        return np.full((bottom - top, right - left, 3), BROKEN, dtype=np.uint8)
