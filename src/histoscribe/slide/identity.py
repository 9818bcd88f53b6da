"""Identity: by what content a slide is known again, found quickly however large the file is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from histoscribe.errors import SlideError, told_as
from histoscribe.record import SlideReference
from histoscribe.slide.model import Slide

HELD_IN_H5AD = "image in the h5ad file"
"""Vendor of a slide that lies in its section's own file, among other things."""
_WHOLE = 2**25  # bytes up to which a file is read whole
_PIECE, _PIECES = 2**14, 256
_MOST_FILES = 1_000_000
_INDEX = 2000  # pixels per byte of a file from which it can only be an index


def content_hash(path: str | os.PathLike[str]) -> str:
    """Hash what a file or folder holds, in well under a second.

    Up to 32 MB of a file are read whole. Of a larger one its size, its first and last 4 MB, and 256 pieces of
    16 kB spread evenly over the rest are: another slide, another scan or another export differs in these, a
    few bytes changed by hand between them would go unseen. A folder is known by the names, sizes and contents
    of its files, of which likewise 4 MB in all are read.

    Returns 64 hexadecimal digits. Raises `SlideError` if it cannot be read.
    """
    path = Path(path)
    digest = hashlib.sha256()
    remedy = "a feature store needs the slide's own file"
    with told_as(SlideError, "cannot be read", OSError, where=path, remedy=remedy):
        if path.is_dir():
            files = sorted(_files(path))
            for name, size in files:
                digest.update(f"{name}\0{size}\0".encode())
            places = np.linspace(0, len(files) - 1, _PIECES).astype(np.int64).tolist()
            for name, size in files if len(files) <= _PIECES else [files[place] for place in places]:
                _feed(digest, path / name, size, whole=_PIECE, ends=_PIECE // 2, pieces=0)
        else:
            size = path.stat().st_size
            digest.update(f"{size}\0".encode())
            _feed(digest, path, size, whole=_WHOLE, ends=2**22, pieces=_PIECES)
    return digest.hexdigest()


def slide_hash(slide: Slide) -> str:
    """Hash what a slide holds: its file or folder.

    Where that cannot hold the pixels, because it lies behind a URL or is a small index beside other
    files (MRXS, VMS), the coarsest level is hashed instead or as well. Raises `SlideError` if it cannot
    be read.
    """
    digest = hashlib.sha256(b"" if slide.url else content_hash(slide.path).encode())
    rows, columns = slide.levels[0].shape
    if slide.url or (slide.path.is_file() and slide.path.stat().st_size < rows * columns / _INDEX):
        _feed_pixels(digest, slide)
    return digest.hexdigest()


def pixels_hash(slide: Slide) -> str:
    """Hash the shapes of a slide's levels and the pixels of its coarsest one.

    For an image that lies in a file with other things, which may change around it.
    """
    digest = hashlib.sha256()
    _feed_pixels(digest, slide)
    return digest.hexdigest()


def refer_to(slide: Slide) -> SlideReference | None:
    """By what a slide is known again, and where it lies; None for one that is in memory alone.

    Raises `SlideError` if it cannot be read.
    """
    if not slide.url and not slide.path.exists():
        return None
    held = slide.vendor == HELD_IN_H5AD
    return SlideReference(
        pixels_hash(slide) if held else slide_hash(slide),
        slide.url or str(slide.path.resolve()),
        downsample=float(slide.levels[0].downsample),
        held=held,
    )


def _feed_pixels(digest: hashlib._Hash, slide: Slide) -> None:
    digest.update(repr([level.shape for level in slide.levels]).encode())
    coarsest = slide.levels[-1].pixels
    for row in range(0, coarsest.shape[0], 256):
        digest.update(np.ascontiguousarray(coarsest[row : row + 256]).tobytes())


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    """Names and sizes of the files of a folder; links are not followed."""
    found = 0
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in names:
            place = Path(root, name)
            if place.is_symlink():
                continue
            found += 1
            if found > _MOST_FILES:
                raise OSError(f"more than {_MOST_FILES:,} files")
            yield place.relative_to(folder).as_posix(), place.stat().st_size


def _feed(digest: hashlib._Hash, path: Path, size: int, *, whole: int, ends: int, pieces: int) -> None:
    with path.open("rb") as stream:
        if size <= whole:
            digest.update(stream.read(whole))
            return
        digest.update(stream.read(ends))
        for place in np.linspace(ends, size - ends - _PIECE, pieces).astype(np.int64).tolist():
            stream.seek(place)
            digest.update(stream.read(_PIECE))
        stream.seek(size - ends)
        digest.update(stream.read(ends))
