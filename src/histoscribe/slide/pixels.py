"""The pixels of one level: NumPy's basic indexing over lazily read RGB blocks, and what one read may be."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from os import PathLike
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError
from histoscribe.slide.cache import PIXELS

WHITE = 255
"""Value of glass, and of what lies outside a slide, in all three samples."""

MAX_READ = 2**28
"""Most pixels that one read may ask for (268 million: 805 MB)."""

MAX_DECODE = 500_000_000
"""Most pixels that may have to be decoded at once."""

_MAX_ASSOCIATED = 2**26  # pixels

TO_PYRAMID = "convert it to a pyramid, for example with 'vips tiffsave IN OUT.tif --tile --pyramid --bigtiff'"
"""What to do about an image that is too large to be decoded whole."""

CONVERT = "convert it to an 8-bit RGB pyramid, for example with QuPath or vips"
COPY_AGAIN = "copy the file again from where it was scanned"


class PixelArray(Protocol):
    """What a level must offer: a lazily read array of shape (rows, columns, 3), dtype uint8."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, columns, 3."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always uint8."""
        ...

    @property
    def chunks(self) -> tuple[int, ...]:
        """Extent that is read together at the least cost."""
        ...

    @property
    def ndim(self) -> int:
        """Always 3."""
        ...

    def __getitem__(self, key: Any) -> NDArray[np.uint8]: ...


class RgbPixels(ABC):
    """A read-only array of shape (rows, columns, 3), dtype uint8, read block by block.

    `chunks`: rows and columns that are read together at the least cost.
    """

    dtype = np.dtype(np.uint8)
    ndim = 3

    def __init__(self, rows: int, columns: int, chunks: tuple[int, int]) -> None:
        self.shape = (rows, columns, 3)
        self.chunks = (min(chunks[0], rows), min(chunks[1], columns), 3)

    @abstractmethod
    def block(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """Read rows `top` to `bottom` and columns `left` to `right`, all inside the array.

        Returns (bottom - top, right - left, 3).
        """

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        rows, columns, samples = self._full_key(key)
        top, bottom, within_rows = _span(rows, self.shape[0])
        left, right, within_columns = _span(columns, self.shape[1])
        check_read(bottom - top, right - left)
        if bottom > top and right > left:
            block = self.block(top, left, bottom, right)
        else:
            block = np.empty((bottom - top, right - left, 3), dtype=np.uint8)
        part: NDArray[np.uint8] = block[within_rows, within_columns, samples]
        return part

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def _full_key(self, key: Any) -> tuple[Any, Any, Any]:
        parts = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in parts:
            gap = parts.index(Ellipsis)
            parts[gap : gap + 1] = [slice(None)] * (4 - len(parts))
        parts += [slice(None)] * (3 - len(parts))
        if len(parts) != 3:
            raise IndexError(f"a level has 3 axes, not {len(parts)}")
        return parts[0], parts[1], parts[2]


class DecodedPixels(RgbPixels):
    """A level that is only to be had as a whole: computed when first read, then kept for a while.

    `decode`: returns the whole level, shape (rows, columns, 3), dtype uint8.
    """

    def __init__(self, rows: int, columns: int, decode: Callable[[], NDArray[np.uint8]]) -> None:
        super().__init__(rows, columns, (512, 512))
        self._decode = decode

    def block(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """See `RgbPixels.block`; the result is a read-only view."""
        return PIXELS.get(self, "whole", self._decode)[top:bottom, left:right]


def check_read(rows: int, columns: int) -> None:
    """Raise `SlideError` if a read of `rows` by `columns` pixels is unreasonably large."""
    if rows * columns > MAX_READ:
        raise SlideError(
            f"a read of {rows} × {columns} pixels is more than the {MAX_READ:,} that fit in memory at once",
            remedy="read a smaller region, or the same one at more µm per pixel",
        )


def check_associated(rows: int, columns: int, name: str, path: str | PathLike[str]) -> None:
    """Raise `SlideError` if an image beside the tissue claims no pixels, or far more than one needs."""
    if not (rows > 0 and columns > 0 and rows * columns <= _MAX_ASSOCIATED):
        problem = f"its {name} image claims {rows} × {columns} pixels"
        raise SlideError(problem, where=path, remedy="look at the slide without it")


def _span(part: Any, length: int) -> tuple[int, int, Any]:
    """Turn one axis of a key into the range to read and the key within that range."""
    wanted = range(length)[part]
    if isinstance(wanted, int):
        return wanted, wanted + 1, 0
    if not wanted:
        return 0, 0, slice(None)
    low, high = sorted((wanted[0], wanted[-1]))
    return low, high + 1, slice(None, None, wanted.step)
