"""Looking a zarr folder over before it is read: no way out of it, no programs in it, no giant claims."""

import json
import math
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from histoscribe.bounds.content import WHICH
from histoscribe.bounds.parquet import check_parquet
from histoscribe.errors import SectionError, told_as

UNFOLDED_BYTES = 256 << 20
"""Most bytes that one chunk may unfold to."""
HEADER_BYTES = 18
_AGAIN = "copy the folder again"
_ZSTD = b"\x28\xb5\x2f\xfd"
_NOWHERE = 2**64 - 1
METADATA_FILES = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")
METADATA_BYTES = 64 << 20
MOST_ENTRIES = 2_000_000
CHUNK_BYTES = 256 << 20
UNPACKED = 200
"""Bytes that the tables may unpack to, per byte on disk; real ones stay below 50."""
SPARE = 256 << 20
PACKINGS = ("blosc", "zstd", "gzip", "zlib", "lz4")
CODECS = {
    *PACKINGS,
    *("bytes", "endian", "transpose", "sharding_indexed", "crc32c", "crc32", "adler32", "fletcher32"),
    *("vlen-utf8", "vlen-bytes", "vlen-array", "shuffle", "bitshuffle", "delta", "fixedscaleoffset"),
    *("quantize", "packbits", "categorize", "astype", "imagecodecs_jpeg", "imagecodecs_webp"),
}


def check_zarr(path: Path) -> None:
    """Refuse a zarr folder that reaches out of itself, runs programs, or claims more than it holds.

    Raises `SectionError` if a link leaves the folder, metadata are damaged or name places outside,
    values are packed in a way that is not known to be harmless (pickles can run programs), a chunk is
    unreasonably large or would unfold to far more than it should, or the tables claim far more values than
    they have room for.
    """
    claimed, stored = 0, 0
    for file, size in _files(path):
        inside = file.relative_to(path)
        if inside.parts[0] in ("tables", "table", "shapes"):
            stored += size
        if inside.parts[0] == "shapes" and file.suffix == ".parquet":
            check_parquet(file)
        if file.name not in METADATA_FILES:
            continue
        if size > METADATA_BYTES:
            raise _refused(f"{inside} is larger than {METADATA_BYTES >> 20} MB", path)
        damaged = (ValueError, RecursionError, OSError)
        with told_as(SectionError, f"{inside} is damaged", *damaged, where=path, remedy=_AGAIN, reason=False):
            content = json.loads(file.read_bytes())
        _check_paths(content, path, inside)
        for node, place in _nodes(content, inside.parent):
            size = _check_array(node, path, place)
            if place.parts and place.parts[0] in ("tables", "table", "shapes"):
                claimed = max(claimed, size)
                if size:
                    _check_chunks(path / place, node, path)
    if claimed > SPARE + UNPACKED * stored:
        problem = f"its tables claim far more values ({claimed / 2**30:.0f} GB) than they have room for"
        raise _refused(problem, path)


def _refused(problem: str, path: Path, remedy: str = WHICH) -> SectionError:
    return SectionError(problem, where=path, remedy=remedy)


def _files(path: Path) -> Iterator[tuple[Path, int]]:
    """Every file of a folder with its size; refuses links that leave it."""
    root, waiting, seen = path.resolve(), [path], 0
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                seen += 1
                if seen > MOST_ENTRIES:
                    raise _refused(f"holds more than {MOST_ENTRIES:,} files", path)
                if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(root):
                    raise _refused(f"{Path(entry.path).relative_to(path)} is a link out of the folder", path)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.is_file():
                    yield Path(entry.path), entry.stat().st_size


def _nodes(content: Any, place: Path) -> Iterator[tuple[Mapping[str, Any], Path]]:
    """What a metadata file says of arrays: its own, and those that it consolidates."""
    if not isinstance(content, Mapping):
        return
    yield content, place
    for holder in (content, content.get("consolidated_metadata")):
        listed = holder.get("metadata") if isinstance(holder, Mapping) else None
        if isinstance(listed, Mapping):
            for key, node in listed.items():
                if isinstance(node, Mapping):
                    yield node, place / str(key).removesuffix("/.zarray")


def _check_paths(content: Any, path: Path, inside: Path) -> None:
    """Refuse keys of consolidated metadata and paths of image levels that leave the folder."""
    waiting = [content]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
            named = [part["path"]] if isinstance(part.get("path"), str) else []
            if isinstance(part.get("metadata"), dict):
                named += part["metadata"]
            for name in named:
                if ".." in Path(name).parts or Path(name).is_absolute() or "\\" in name or "://" in name:
                    raise _refused(f"{inside} names a place outside the folder ({name:.60})", path)


def _check_array(node: Mapping[str, Any], path: Path, place: Path) -> int:
    """Check one array's codecs and chunks; returns the bytes that it claims (0 for a group)."""
    shape = node.get("shape")
    if not isinstance(shape, list):
        return 0
    if unknown := [codec for codec in _codecs(node) if _name(codec) not in CODECS]:
        stated = str(unknown[0].get("name", unknown[0].get("id")))
        problem = f"{place} is packed with {stated!r:.60}, which is not known to be harmless"
        raise _refused(problem, path)
    grid = node.get("chunk_grid")
    grid = grid.get("configuration") if isinstance(grid, Mapping) else None
    chunks = grid.get("chunk_shape") if isinstance(grid, Mapping) else node.get("chunks")
    kind = str(node.get("data_type", node.get("dtype")))
    digits = "".join(letter for letter in kind if letter.isdigit())
    size = int(digits) if digits and len(digits) < 10 else 8
    item = max(1, size // 8 if kind.startswith(("int", "uint", "float", "bool")) else size)
    extents: list[Any] = [shape, chunks]
    for extent in extents:
        if not isinstance(extent, list) or not all(isinstance(side, int) and side >= 0 for side in extent):
            raise _refused(f"{place} states no valid shape", path, _AGAIN)
    sizes: list[int] = [math.prod(extent) * item for extent in extents]
    if sizes[1] > CHUNK_BYTES:
        problem = f"{place} has chunks of {sizes[1] / 2**20:.0f} MB"
        raise _refused(problem, path, "write it in smaller chunks")
    return sizes[0]


def _codecs(holder: Any) -> list[Mapping[str, Any]]:
    """Every codec of an array, in the order of packing, those within shards right behind the shards."""
    found: list[Mapping[str, Any]] = []
    for key in ("filters", "compressor", "index_codecs", "codecs") if isinstance(holder, Mapping) else ():
        value = holder.get(key)
        for codec in value if isinstance(value, list) else [value]:
            if isinstance(codec, Mapping):
                found += [codec, *_codecs(codec.get("configuration"))]
    return found


def _name(codec: Mapping[str, Any]) -> str:
    return str(codec.get("name", codec.get("id"))).removeprefix("numcodecs.")


def _check_chunks(folder: Path, node: Mapping[str, Any], where: Path) -> None:
    """Refuse chunks of one array that would unfold to more than `UNFOLDED_BYTES`, or do not say to what."""
    codecs = _codecs(node)
    packing = next((_name(codec) for codec in reversed(codecs) if _name(codec) in PACKINGS), None)
    if packing is None:
        return
    shards = next((one.get("configuration") for one in codecs if _name(one) == "sharding_indexed"), None)
    inner = _inner_chunks(node, shards) if isinstance(shards, Mapping) else 0
    for file in folder.rglob("*"):
        if file.name.startswith(".") or file.name == "zarr.json" or not file.is_file():
            continue
        with open(file, "rb") as stream:
            for start, size in _places(stream, inner):
                stream.seek(start)
                looked_at = stream.read(size if packing in ("gzip", "zlib") else HEADER_BYTES)
                if _unfolded(packing, looked_at) > UNFOLDED_BYTES:
                    inside = file.relative_to(where)
                    problem = f"{inside} would unfold to far more than a chunk of its array holds"
                    raise _refused(problem, where, "write the folder again with a current spatialdata")


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
    width = 1 << (flags >> 6) if flags >> 6 or single else 0
    if not width:
        return UNFOLDED_BYTES + 1
    start = 5 + (0 if single else 1) + (0, 1, 2, 4)[flags & 3]
    size = int.from_bytes(content[start : start + width], "little")
    return size + 256 if width == 2 else size
