"""What a stored zarr chunk would unfold to, told from its first bytes before anything is decoded."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from histoscribe.errors import SectionError

UNFOLDED_BYTES = 256 << 20
"""Most bytes that one chunk may unfold to."""
HEADER_BYTES = 18
_ZSTD = b"\x28\xb5\x2f\xfd"
_CONTENT_SIZES = {0: 1, 1: 2, 2: 4, 3: 8}
_NOWHERE = 2**64 - 1
_REMEDY = "write the folder again with a current spatialdata"


def check_chunks(folder: Path, node: Mapping[str, Any], where: Path) -> None:
    """Refuse chunks of one array that would unfold to more than `UNFOLDED_BYTES`.

    Parameters
    ----------
    folder : Path
        Of the array.
    node : mapping
        Its metadata, `zarr.json` or `.zarray`.
    where : Path
        The store, for the message.

    Raises
    ------
    SectionError
        Also if a chunk does not say what it unfolds to.
    """
    codecs = (
        [node.get("compressor")] if "zarr_format" in node and node["zarr_format"] == 2 else node.get("codecs")
    )
    packing, shards = _packing(codecs if isinstance(codecs, list) else [])
    if packing is None:
        return
    inner = _inner_chunks(node, shards) if shards is not None else 0
    for file in folder.rglob("*"):
        if file.name.startswith(".") or file.name == "zarr.json" or not file.is_file():
            continue
        with open(file, "rb") as stream:
            for start, size in _places(stream, inner):
                stream.seek(start)
                claimed = _unfolded(
                    packing, stream.read(size if packing in ("gzip", "zlib") else HEADER_BYTES)
                )
                if claimed > UNFOLDED_BYTES:
                    raise SectionError(
                        f"{file.relative_to(where)} would unfold to far more than a chunk of its array holds",
                        where=where,
                        remedy=_REMEDY,
                    )


def _packing(codecs: Sequence[Any]) -> tuple[str | None, Mapping[str, Any] | None]:
    """The compressor's name, and the settings of shards where there are any."""
    name, shards = None, None
    for codec in codecs:
        if not isinstance(codec, Mapping):
            continue
        known = str(codec.get("name", codec.get("id"))).removeprefix("numcodecs.")
        settings = codec.get("configuration")
        if known == "sharding_indexed" and isinstance(settings, Mapping):
            inner = settings.get("codecs")
            name, shards = _packing(inner if isinstance(inner, list) else [])[0], settings
        elif known in ("blosc", "zstd", "gzip", "zlib", "lz4"):
            name = known
    return name, shards


def _inner_chunks(node: Mapping[str, Any], shards: Mapping[str, Any]) -> int:
    """How many chunks a shard holds; negative where the index stands at its beginning."""
    try:
        outer = node["chunk_grid"]["configuration"]["chunk_shape"]
        number = int(math.prod(big // small for big, small in zip(outer, shards["chunk_shape"], strict=True)))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return 0
    return -number if shards.get("index_location") == "start" else number


def _places(stream: Any, inner: int) -> Iterator[tuple[int, int]]:
    """Start and length of every packed chunk in a file: itself, or what the index of a shard lists."""
    size: int = stream.seek(0, 2)
    if inner == 0:
        yield 0, size
        return
    length = 16 * abs(inner)
    stream.seek(0 if inner < 0 else max(0, size - length - 4))
    index: bytes = stream.read(length)
    for start, extent in struct.iter_unpack("<QQ", index[: len(index) // 16 * 16]):
        if start != _NOWHERE and start < size:
            yield start, min(extent, size - start)


def _unfolded(packing: str, content: bytes) -> int:
    """Bytes that a packed chunk states, or is found, to unfold to."""
    if packing == "blosc":
        return int(struct.unpack_from("<I", content, 4)[0]) if len(content) >= 16 else 0
    if packing == "lz4":
        return int(struct.unpack_from("<I", content)[0]) if len(content) >= 4 else 0
    if packing == "zstd":
        return _of_zstd(content)
    try:
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        return len(unpacker.decompress(content, UNFOLDED_BYTES + 1))
    except zlib.error:
        return 0


def _of_zstd(content: bytes) -> int:
    """The content size in a frame's header (RFC 8878, 3.1.1.1); as good as endless where it is not stated."""
    if len(content) < 6 or not content.startswith(_ZSTD):
        return 0
    flags = content[4]
    single = bool(flags & 0x20)
    width = _CONTENT_SIZES[flags >> 6] if flags >> 6 or single else 0
    if not width:
        return UNFOLDED_BYTES + 1
    start = 5 + (0 if single else 1) + (0, 1, 2, 4)[flags & 3]
    size = int.from_bytes(content[start : start + width], "little")
    return size + 256 if width == 2 else size
