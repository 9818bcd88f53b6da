"""The feature store: descriptors on disk, chunk by chunk, each whole and with its checksum."""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from histoscribe.arrays import Floats
from histoscribe.errors import StorageError, told_as
from histoscribe.features.encoder import TileEncoder
from histoscribe.slide import Slide
from histoscribe.slide.identity import slide_hash
from histoscribe.tiles import Tiles

CHUNK = 32
"""Tiles that are read, described, written and lost together."""

_FORMAT = 1  # also of how crops are made: raise it when the same slide would give other pixels
_BEGUN = "begun"
_CHECKSUM_BYTES = 4
_IN_USE: ContextVar[Path | None] = ContextVar("store", default=None)


@contextlib.contextmanager
def storing(store: str | os.PathLike[str] | None) -> Iterator[None]:
    """Keep every descriptor made inside in a store, and take those that are there; nothing if None."""
    token = _IN_USE.set(None if store is None else Path(store))
    try:
        yield
    finally:
        _IN_USE.reset(token)


def store_in_use() -> Path | None:
    """The folder of the store, where what runs is inside of `storing`."""
    return _IN_USE.get()


@dataclass(frozen=True)
class Shelf:
    """The descriptors of one slide's tiles by one encoder: a zarr array of shape (tiles, dimension).

    Any number of processes may write to it at once: a chunk is written under another name and renamed,
    and all would write the same.
    """

    path: Path
    """The array's folder."""
    tiles: int
    dimension: int

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return -(-self.tiles // CHUNK)

    def begin(self, chunk: int, *, mended: bool = False) -> None:
        """Note that a chunk is begun, so that it can be counted if it is begun again."""
        journal = self.path / _BEGUN / f"{socket.gethostname()}-{os.getpid()}.txt"
        with journal.open("a", encoding="ascii") as stream:
            stream.write(f"{chunk} mended\n" if mended else f"{chunk}\n")

    def repeated(self) -> int:
        """How often a chunk was begun anew since the slide was begun, damaged ones not counted."""
        starts: Counter[str] = Counter()
        for journal in (self.path / _BEGUN).glob("*.txt"):
            lines = journal.read_text(encoding="ascii", errors="replace").splitlines()
            starts.update(line for line in lines if line.isdigit())
        return starts.total() - len(starts)

    def write(self, chunk: int, values: Floats) -> None:
        """Write a chunk, shape (its tiles, dimension): it is there whole or not at all."""
        import zarr

        start = chunk * CHUNK
        zarr.open_array(self.path, mode="r+")[start : start + len(values)] = values

    def checked(self) -> tuple[set[int], set[int]]:
        """Read everything that is there; return the chunks that are whole and those that are damaged."""
        import zarr

        array: Any = zarr.open_array(self.path, mode="r")
        size = CHUNK * self.dimension * np.dtype(np.float32).itemsize + _CHECKSUM_BYTES
        whole: set[int] = set()
        damaged: set[int] = set()
        for chunk in range(self.chunks):
            try:
                found = (self.path / "c" / str(chunk) / "0").stat().st_size
            except OSError:
                continue
            with contextlib.suppress(Exception):  # the codec says in its own way that the checksum is wrong
                if found == size and np.isfinite(array[chunk * CHUNK : (chunk + 1) * CHUNK]).all():
                    whole.add(chunk)
                    continue
            damaged.add(chunk)
        return whole, damaged

    def read(self, rows: slice = slice(None)) -> Floats:
        """Read descriptors, in the order of the tiles; shape (tiles, dimension)."""
        import zarr

        out: Floats = np.asarray(zarr.open_array(self.path, mode="r")[rows], dtype=np.float32)
        return out


def open_shelf(store: str | os.PathLike[str], slide: Slide, tiles: Tiles, encoder: TileEncoder) -> Shelf:
    """Open, or begin, the place of a slide's descriptors in a store.

    It is known by what the slide holds, by the encoder's name (which carries its version or the hash of its
    weights) and by the geometry. Raises `SlideError` if the slide is no file or folder that can be read,
    `StorageError` if the store cannot be written.
    """
    level = slide.level_for(encoder.mpp)
    centres = np.ascontiguousarray(tiles.centres, dtype="<f8")
    key = {
        "format": _FORMAT,
        "slide": slide_hash(slide),
        "encoder": encoder.name,
        "crop_um": float(encoder.crop_um),
        "mpp": float(encoder.mpp),
        "slide_mpp": None if slide.mpp is None else float(slide.mpp),
        "level": [*level.shape, float(level.downsample)],
        "tiles": hashlib.sha256(centres.tobytes()).hexdigest(),
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    shelf = Shelf(Path(store).absolute() / f"{digest[:32]}.zarr", len(tiles), encoder.dimension)
    problem, remedy = "the feature store cannot be written", "choose another folder"
    with told_as(StorageError, problem, OSError, where=store, remedy=remedy):
        if not _fits(shelf, key):
            if shelf.path.exists():
                shutil.rmtree(shelf.path)
            _create(shelf, {**key, "slide_name": slide.name})
    return shelf


def _fits(shelf: Shelf, key: Mapping[str, object]) -> bool:
    """Whether a shelf is there whose array is the one expected."""
    import zarr

    if not shelf.path.exists():
        return False
    try:
        array: Any = zarr.open_array(shelf.path, mode="r")
        attributes = dict(array.attrs)
    except Exception:  # damaged metadata: anything may come
        return False
    same = all(attributes.get(name) == value for name, value in key.items())
    expected = ((shelf.tiles, shelf.dimension), (CHUNK, shelf.dimension), np.float32)
    return same and (array.shape, array.chunks, array.dtype) == expected and (shelf.path / _BEGUN).is_dir()


def _create(shelf: Shelf, key: Mapping[str, Any]) -> None:
    import zarr
    from zarr.codecs import Crc32cCodec

    shelf.path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=shelf.path.parent, prefix=".new-") as holder:
        fresh = Path(holder) / "array"
        zarr.create_array(
            store=str(fresh),
            shape=(shelf.tiles, shelf.dimension),
            chunks=(CHUNK, shelf.dimension),
            dtype=np.float32,
            fill_value=np.nan,
            compressors=[Crc32cCodec()],
            attributes=dict(key),
        )
        (fresh / _BEGUN).mkdir()
        try:
            fresh.rename(shelf.path)
        except OSError:
            if not _fits(shelf, key):  # else another process was first
                raise
