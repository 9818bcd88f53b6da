"""Tables that may be larger than memory: rows on disk, read and written a run at a time."""

from __future__ import annotations

import os
import tempfile
import weakref
from copy import copy
from itertools import pairwise
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from histoscribe.arrays import Floats
from histoscribe.errors import StorageError, reason_of
from histoscribe.files import RUN


class Rows:
    """A table of float32 on disk that is written and read by runs of rows; gone when nobody holds it.

    Sliced as an array is, by rows and then by columns; rows may be numbers too, best such that follow each
    other. It lies in the folder for temporary files (TMPDIR).
    """

    dtype, ndim = np.dtype(np.float32), 2

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape, self._first = shape, 0
        self._whole: Rows | None = None  # of a part: closes the file when nobody holds it
        self._file, self._lock = tempfile.TemporaryFile(), Lock()  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._file.truncate(shape[0] * shape[1] * self.dtype.itemsize)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Floats:
        rows, *columns = key if isinstance(key, tuple) else (key,)
        rows = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows
        out = np.empty((len(rows), self.shape[1]), dtype=self.dtype)
        for start, stop in pairwise(np.flatnonzero(np.diff(rows, prepend=-2, append=-2) != 1).tolist()):
            self._read(out[start:stop], int(rows[start]))
        return out[(slice(None), *columns)]

    def _read(self, out: Floats, start: int) -> None:
        place = (self._first + start) * self.shape[1] * self.dtype.itemsize
        left = out.data.cast("B")
        while len(left) and hasattr(os, "preadv"):  # forked processes share the place of `seek`
            done = os.preadv(self._file.fileno(), [left], place)
            place, left = place + done, left[done:]
        if len(left):
            with self._lock:
                self._file.seek(place)
                self._file.readinto(left)

    def part(self, rows: slice) -> Rows:
        """Some rows that follow each other, in the same file."""
        found = copy(self)
        found._whole = self
        found._first, found.shape = self._first + rows.start, (rows.stop - rows.start, self.shape[1])
        return found

    def __setitem__(self, rows: slice, values: Floats) -> None:
        try:
            with self._lock:
                self._file.seek((self._first + (rows.start or 0)) * self.shape[1] * self.dtype.itemsize)
                self._file.write(np.ascontiguousarray(values, dtype=self.dtype).data)
                self._file.flush()
        except OSError as error:
            problem = f"temporary files cannot be written ({reason_of(error).lower()})"
            remedy = "free some space there, or name another folder in TMPDIR"
            raise StorageError(problem, where=tempfile.gettempdir(), remedy=remedy) from error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(dtype or self.dtype, copy=False)


Number = TypeVar("Number", bound=np.floating[Any])
Held = np.ndarray[Any, np.dtype[np.float32]] | Rows
_MOST_HELD = 1 << 26


def room(shape: tuple[int, ...]) -> Held:
    """Zeros to write a table into, on disk where they are more than 64 million."""
    rows, columns = shape
    return Rows((rows, columns)) if rows * columns > _MOST_HELD else np.zeros(shape, dtype=np.float32)


def part_of(table: Held, rows: slice) -> Held:
    """Some rows of a table, to read and to write where it lies."""
    return table.part(rows) if isinstance(table, Rows) else table[rows]


def runs_of(table: Held) -> list[slice]:
    """The rows of a table in runs of `RUN`."""
    return [slice(start, min(start + RUN, len(table))) for start in range(0, len(table), RUN)]


def squared_distances(one: NDArray[Number], other: NDArray[Number]) -> NDArray[Number]:
    """Between the rows of both, never negative, shape (rows, other rows)."""
    lengths = (one**2).sum(1)[:, None] + (other**2).sum(1)
    return np.asarray(np.maximum(lengths - 2 * (one @ other.T), 0), dtype=one.dtype)


def lazily(table: Any, chunks: tuple[int, int] = (RUN, -1)) -> Any:
    """A dask array of a table on disk, which AnnData takes for a matrix; a table in memory as it is."""
    if isinstance(table, np.ndarray):
        return table
    import dask.array as da

    meta = np.empty((0, 0), dtype=table.dtype)
    return da.from_array(table, chunks, name=False, fancy=False, meta=meta)  # type: ignore[no-untyped-call]


def is_lazy(matrix: Any) -> bool:
    """Whether a table's matrix lies on disk, see `lazily`."""
    return hasattr(matrix, "dask")
