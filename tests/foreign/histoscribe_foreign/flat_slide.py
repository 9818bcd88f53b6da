"""A slide format that nobody else has: a line of text, then plain RGB pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from histoscribe.errors import SlideError
from histoscribe.formats import Format, Glimpse
from histoscribe.slide import Level, Slide

MAGIC = b"flat slide "


class _Pixels:
    """The pixels of a file, read where they are asked for."""

    ndim, dtype, chunks = 3, np.dtype(np.uint8), (256, 256, 3)

    def __init__(self, path: Path, shape: tuple[int, int, int], offset: int) -> None:
        self.shape = shape
        self._file = np.memmap(path, np.uint8, "r", offset, shape)

    def __getitem__(self, key: object) -> np.ndarray:
        return np.array(self._file[key])


def sniff(seen: Glimpse) -> bool:
    """Whether the file starts as this format does."""
    return seen.head.startswith(MAGIC)


def read(path: Path) -> Slide:
    """Open a file: `flat slide ROWS COLUMNS MPP`, a line's end, the pixels."""
    with path.open("rb") as stream:
        first = stream.readline(200)
    rows, columns, mpp = first.removeprefix(MAGIC).split()
    shape = (int(rows), int(columns), 3)
    if path.stat().st_size != len(first) + int(np.prod(shape)):
        raise SlideError("the flat slide is cut off", where=path, remedy="copy it again")
    return Slide(path, (Level(_Pixels(path, shape, len(first)), 1.0),), mpp=float(mpp), vendor="flat")


def write(path: Path, pixels: np.ndarray, mpp: float) -> Path:
    """Write pixels of shape (rows, columns, 3), dtype uint8, in this format."""
    rows, columns = pixels.shape[:2]
    path.write_bytes(MAGIC + f"{rows} {columns} {mpp}\n".encode() + pixels.tobytes())
    return path


FORMAT = Format("slide", "a flat slide", sniff, read, ("*.flat",))
