"""Levels that are read tile by tile: what can be read is read, broken tiles are marked and told."""

import contextlib
import math
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Mask
from histoscribe.errors import HistoscribeError, SlideError, reason_of
from histoscribe.slide.cache import PIXELS
from histoscribe.slide.pixels import CONVERT, COPY_AGAIN, RgbPixels

BROKEN = (255, 0, 255)
"""RGB colour of tiles that cannot be read: no stain looks like it."""

_PROBES = 4
_NOT_THE_TILE = (HistoscribeError, MemoryError)


class BrokenTileWarning(UserWarning):
    """A tile could not be decoded and was painted in `BROKEN`."""


class TiledPixels(RgbPixels):
    """One level of a slide in tiles of which some may be broken.

    `tile`: rows and columns of one tile; `lost` (tile rows, tile columns): tiles known to be broken before
    anything is read.
    """

    def __init__(
        self, rows: int, columns: int, tile: tuple[int, int], path: Path, lost: Mask | None = None
    ) -> None:
        super().__init__(rows, columns, tile)
        self._path, self._tile, self._lost = path, tile, lost
        self._found_broken: set[tuple[int, int]] = set()

    @abstractmethod
    def read_tile(self, row: int, column: int) -> NDArray[np.uint8]:
        """Decode the tile of a row and a column of the grid, shape (rows, columns, 3); may raise anything."""

    def block(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """See `RgbPixels.block`; broken tiles come back in the colour `BROKEN`."""
        tiles = list(self.tiles(top, left, bottom, right))
        if not any(self._is_broken(tile) for tile, _ in tiles):
            # a decoder may raise anything; which tile it was shows below
            with contextlib.suppress(Exception):
                return self.decode(top, left, bottom, right)
        out = np.empty((bottom - top, right - left, 3), dtype=np.uint8)
        for tile, (first, start, last, stop) in tiles:
            part = self._tile_or_mark(tile, first, start, last, stop)
            out[first - top : last - top, start - left : stop - left] = part
        return out

    def probe(self) -> None:
        """Decode a few tiles; raise `SlideError` if none of them can be."""
        rows, columns = (math.ceil(side / tile) for side, tile in zip(self.shape, self._tile, strict=False))
        inside = range(rows * columns) if self._lost is None else np.flatnonzero(~self._lost)
        chosen = {inside[int(n)] for n in np.linspace(0, len(inside) - 1, min(_PROBES, len(inside)))}
        for row, column in (divmod(int(number), columns) for number in sorted(chosen)):
            top, left = row * self._tile[0], column * self._tile[1]
            try:
                self.decode(top, left, top + 1, left + 1)
            except _NOT_THE_TILE:
                raise
            except Exception as error:  # as in block
                reason = error
            else:
                return
        problem = f"none of its tiles can be decoded ({reason_of(reason)})"
        raise SlideError(problem, where=self._path, remedy=f"{COPY_AGAIN}, or {CONVERT}") from reason

    def tiles(
        self, top: int, left: int, bottom: int, right: int
    ) -> Iterator[tuple[tuple[int, int], tuple[int, int, int, int]]]:
        """The tiles that a block touches, each with its part of the block as top, left, bottom, right."""
        height, width = self._tile
        for row in range(top // height, -(-bottom // height)):
            for column in range(left // width, -(-right // width)):
                first, start = max(top, row * height), max(left, column * width)
                last, stop = min(bottom, (row + 1) * height), min(right, (column + 1) * width)
                yield (row, column), (first, start, last, stop)

    def decode(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """Read a block as `RgbPixels.block` does, from whole tiles, which the shared store keeps.

        Raises anything where a tile of it is broken, `SlideError` where the file is gone.
        """
        out = np.empty((bottom - top, right - left, 3), dtype=np.uint8)
        height, width = self._tile
        for (row, column), (first, start, last, stop) in self.tiles(top, left, bottom, right):
            tile = PIXELS.get(self, (row, column), partial(self.read_tile, row, column))
            down, across = row * height, column * width
            part = tile[first - down : last - down, start - across : stop - across]
            out[first - top : last - top, start - left : stop - left] = part
        return out

    def _is_broken(self, tile: tuple[int, int]) -> bool:
        return tile in self._found_broken or (self._lost is not None and bool(self._lost[tile]))

    def _tile_or_mark(
        self, tile: tuple[int, int], top: int, left: int, bottom: int, right: int
    ) -> NDArray[np.uint8]:
        if not self._is_broken(tile):
            try:
                return self.decode(top, left, bottom, right)
            except _NOT_THE_TILE:
                raise
            except Exception:  # as in block
                self._found_broken.add(tile)
                warnings.warn(
                    f"{self._path.name}: the tile at row {top}, column {left} of the image with "
                    f"{self.shape[0]} × {self.shape[1]} pixels is broken; it is painted magenta",
                    BrokenTileWarning,
                    stacklevel=2,
                )
        return np.full((bottom - top, right - left, 3), BROKEN, dtype=np.uint8)
