"""One array of a zarr store, format 2 or 3, read chunk by chunk with every size known beforehand.

zarr's own reader trusts what a compressed chunk claims to unfold to; here nothing is decoded that claims
more than its chunk holds, so a store from anywhere may be opened.
"""

import json
import math
import struct
import threading
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from histoscribe.errors import SlideError, told_as
from histoscribe.slide.pixels import CONVERT, COPY_AGAIN
from histoscribe.slide.zarr.place import Place

KNOWN = ("blosc", "zstd", "gzip", "zlib", "lz4", "crc32c")
"""Names of the codecs that can be unfolded within bounds."""
MOST_TEXT = 2**24
"""Most bytes of one metadata document."""

_MOST_CHUNK = 2**28  # bytes of one decoded chunk
_MOST_INNER = 2**20  # chunks in one shard
_KEPT_INDICES = 256
_NOWHERE = 2**64 - 1  # offset and length of a chunk that a shard does not hold
_ALIASES = {f"numcodecs.{name}": name for name in ("blosc", "zstd", "zlib", "lz4")}


class _Shards(NamedTuple):
    """How chunks are packed into larger files: extent of one in elements, and where its index stands."""

    shape: tuple[int, ...]
    at_end: bool
    checked: bool


class ZarrArray:
    """A read-only uint8 array of a zarr store.

    `place`: where the store lies; `path`: the array's path in the store; `shape` and `chunks`: extent of the
    array, and of what is decoded together; `fill`: value of chunks that are not stored; `where`: the store's
    path or URL. Raises `SlideError` if there is no such array, or it is damaged, not 8-bit, packed in an
    unknown way, or in giant chunks.
    """

    def __init__(self, place: Place, path: str) -> None:
        self._place, self._path, self.where = place, path, place.where
        self._lock = threading.Lock()
        self._indices: dict[str, NDArray[np.uint64] | None] = {}
        self._shards: _Shards | None = None
        wrong = (LookupError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)
        problem = f"the array {path!r} is damaged"
        with told_as(SlideError, problem, *wrong, where=place.where, remedy=COPY_AGAIN):
            self._load()

    def chunk(self, place: Sequence[int]) -> NDArray[np.uint8] | None:
        """Decode one chunk by its place in the grid; None where it is not stored.

        `place`: one number an axis, in the order of the array's axes. Raises `ValueError` if it is damaged or
        unfolds to something else than its chunk; `SlideError` if the store can no longer be read.
        """
        data = self._packed(place)
        if data is None:
            return None
        nbytes = math.prod(self.chunks)
        for name in reversed(self._codecs):
            data = unfold(name, data, nbytes)
        if len(data) != nbytes:
            raise ValueError(f"a chunk of {len(data)} bytes, not {nbytes}")
        values = np.frombuffer(data, dtype=np.uint8)
        stored = [self.chunks[axis] for axis in self._order]
        return values.reshape(stored).transpose(np.argsort(self._order))

    def _packed(self, place: Sequence[int]) -> bytes | None:
        """The compressed bytes of a chunk."""
        most = math.prod(self.chunks) * 9 // 8 + 4096
        if self._shards is None:
            return self._place.read(self._key(place), most)
        per_shard = [shard // chunk for shard, chunk in zip(self._shards.shape, self.chunks, strict=True)]
        key = self._key([at // count for at, count in zip(place, per_shard, strict=True)])
        index = self._index(key, math.prod(per_shard))
        if index is None:
            return None
        inside = [at % count for at, count in zip(place, per_shard, strict=True)]
        within = np.ravel_multi_index(inside, per_shard)
        start, length = (int(value) for value in index[within])
        if start == length == _NOWHERE:
            return None
        if length > most:
            raise ValueError(f"a chunk of {length} packed bytes")
        data = self._place.read(key, most, start, start + length)
        if data is None or len(data) != length:
            raise ValueError("a shard that is cut off")
        return data

    def _index(self, key: str, count: int) -> NDArray[np.uint64] | None:
        """Offsets and lengths of the chunks of one shard, shape (chunks, 2)."""
        assert self._shards is not None
        with self._lock:
            if key in self._indices:
                return self._indices[key]
        size = 16 * count + 4 * self._shards.checked
        start, stop = (-size, None) if self._shards.at_end else (0, size)
        data = self._place.read(key, size, start, stop)
        index = None
        if data is not None:
            if len(data) != size:
                raise ValueError("a shard that is cut off")
            if self._shards.checked:
                data = unfold("crc32c", data, size)
            index = np.frombuffer(data, dtype="<u8").reshape(-1, 2)
        with self._lock:
            if len(self._indices) >= _KEPT_INDICES:
                self._indices.clear()
            self._indices[key] = index
        return index

    def _key(self, place: Sequence[int]) -> str:
        return f"{self._path}/{self._prefix}{self._separator.join(str(int(at)) for at in place)}"

    def _load(self) -> None:
        if (text := self._place.read(f"{self._path}/zarr.json", MOST_TEXT)) is not None:
            self._load_3(json.loads(text))
        elif (text := self._place.read(f"{self._path}/.zarray", MOST_TEXT)) is not None:
            self._load_2(json.loads(text))
        else:
            raise ValueError("it is not there")
        if self._separator not in ("/", "."):
            raise ValueError(f"keys are separated by {self._separator!r}")
        if len(self.shape) != len(self.chunks) or not 2 <= len(self.shape) <= 5:
            raise ValueError(f"{len(self.shape)} axes in chunks of {len(self.chunks)}")
        if min(self.shape) < 1 or min(self.chunks) < 1 or max(self.shape) >= 2**40:
            raise ValueError(f"its shape is {self.shape} in chunks of {self.chunks}")
        if sorted(self._order) != list(range(len(self.shape))):
            raise ValueError(f"its axes are in the order {self._order}")
        if math.prod(self.chunks) > _MOST_CHUNK:
            raise SlideError(f"has chunks of {self.chunks}", where=self.where, remedy=CONVERT)
        unknown = [name for name in self._codecs if name not in KNOWN]
        if unknown:
            problem = f"is packed with {unknown[0]}, which is not known"
            raise SlideError(problem, where=self.where, remedy=CONVERT)

    def _load_2(self, about: dict[str, Any]) -> None:
        self._check_type(str(about["dtype"]).lstrip("|<>="), "u1")
        self.shape, self.chunks = _whole(about["shape"]), _whole(about["chunks"])
        packing = [*(about.get("filters") or []), *([about["compressor"]] if about.get("compressor") else [])]
        self._codecs = [str(codec["id"]) for codec in packing]
        self._order = list(range(len(self.shape)))[:: -1 if about.get("order") == "F" else 1]
        self._separator, self._prefix = str(about.get("dimension_separator") or "."), ""
        self.fill = _fill(about.get("fill_value"))

    def _load_3(self, about: dict[str, Any]) -> None:
        if about.get("node_type") != "array":
            raise ValueError("it is no array")
        self._check_type(str(about["data_type"]), "uint8")
        grid = about["chunk_grid"]
        self.shape, self.chunks = _whole(about["shape"]), _whole(grid["configuration"]["chunk_shape"])
        if grid["name"] != "regular":
            raise ValueError(f"a chunk grid of kind {grid['name']!r}")
        keys = about.get("chunk_key_encoding") or {"name": "default"}
        plain = keys["name"] == "v2"
        self._separator = str((keys.get("configuration") or {}).get("separator", "." if plain else "/"))
        self._prefix = "" if plain else f"c{self._separator}"
        self.fill = _fill(about.get("fill_value"))
        codecs = about["codecs"]
        if codecs[0]["name"] == "sharding_indexed":
            if len(codecs) > 1:
                raise ValueError("shards that are packed again")
            inner = codecs[0]["configuration"]
            codecs = inner["codecs"]
            index = [codec["name"] for codec in inner.get("index_codecs", ())]
            if index not in (["bytes"], ["bytes", "crc32c"]):
                raise ValueError(f"a shard index packed with {index}")
            shard, self.chunks = self.chunks, _whole(inner["chunk_shape"])
            counts = [
                divmod(outer, chunk) for outer, chunk in zip(shard, self.chunks, strict=True) if chunk > 0
            ]
            if len(counts) != len(shard) or any(rest or not count for count, rest in counts):
                raise ValueError(f"shards of {shard} in chunks of {self.chunks}")
            if math.prod(count for count, _ in counts) > _MOST_INNER:
                raise ValueError(f"shards of {math.prod(count for count, _ in counts)} chunks")
            self._shards = _Shards(shard, inner.get("index_location", "end") == "end", len(index) == 2)
        self._order = list(range(len(self.shape)))
        names = [str(codec["name"]) for codec in codecs]
        if names[0] == "transpose":
            self._order = list(_whole(codecs[0]["configuration"]["order"]))
            names = names[1:]
        if names[:1] != ["bytes"]:
            raise ValueError(f"a chain of codecs that starts with {names[:1]}")
        self._codecs = [_ALIASES.get(name, name) for name in names[1:]]

    def _check_type(self, found: str, wanted: str) -> None:
        if found != wanted:
            raise SlideError(f"{found} pixels are not 8-bit RGB", where=self.where, remedy=CONVERT)


def _whole(values: Sequence[Any]) -> tuple[int, ...]:
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        raise ValueError(f"{values} are not whole numbers")
    return tuple(values)


def _fill(value: Any) -> int:
    if value is None:
        return 0
    if not isinstance(value, int) or not 0 <= value <= 255:
        raise ValueError(f"the fill value {value!r} is not an 8-bit number")
    return value


def unfold(codec: str, data: bytes, most: int) -> bytes:
    """Decode one layer of packing, never to more than `most` bytes and what a checksum adds.

    Raises `ValueError` if it is damaged, or unfolds to more.
    """
    import imagecodecs
    from google_crc32c import value as crc32c

    room = most + 4096
    try:
        match codec:
            case "crc32c":
                content, stated = data[:-4], data[-4:]
                if len(stated) < 4 or struct.pack("<I", crc32c(content)) != stated:
                    raise ValueError("the checksum does not fit")
                return content
            case "gzip" | "zlib":
                stream = zlib.decompressobj(wbits=47)
                content = stream.decompress(data, room)
                if not stream.eof:
                    raise ValueError("unfolds to more than its chunk, or is cut off")
                return content
            case "blosc":
                _check_claim(data[4:8], most)
                return bytes(imagecodecs.blosc_decode(data))
            case "lz4":
                _check_claim(data[:4], most)
                return bytes(imagecodecs.lz4_decode(data, header=True))
            case "zstd":
                return bytes(imagecodecs.zstd_decode(data, out=room))
    except (RuntimeError, zlib.error) as error:
        raise ValueError(f"{codec}: {error}") from error
    raise ValueError(f"packed with {codec}")


def _check_claim(four: bytes, most: int) -> None:
    if len(four) < 4 or struct.unpack("<I", four)[0] > most:
        raise ValueError("claims to unfold to more than its chunk")
