"""Damaged and hostile OME-Zarr stores: one clear sentence, or a marked tile and all else is read."""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr

from histoscribe.errors import SlideError
from histoscribe.slide import open_slide
from histoscribe.slide.tiled import BROKEN, BrokenTileWarning
from histoscribe.slide.zarr.backend import MissingTileWarning

Edit = Callable[[Path], None]


@pytest.fixture
def store(picture: Callable, tmp_path: Path) -> Callable[..., tuple[Path, np.ndarray]]:
    """A sound image of 300 × 200 pixels in two levels."""

    def write(version: int = 3, **options: Any) -> tuple[Path, np.ndarray]:
        path, pixels = tmp_path / "slide.zarr", picture(300, 200)
        group = zarr.open_group(path, mode="w", zarr_format=version)
        if version == 2:
            options["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
        for number, level in enumerate((pixels, pixels[::2, ::2])):
            planes = level.transpose(2, 0, 1)
            options = {"chunks": (3, 64, 64), **options}
            group.create_array(str(number), shape=planes.shape, dtype="uint8", **options)[:] = planes
        axes = [{"name": "c", "type": "channel"}]
        axes += [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
        datasets = [
            {
                "path": str(n),
                "coordinateTransformations": [{"type": "scale", "scale": [1, 0.5 * 2**n, 0.5 * 2**n]}],
            }
            for n in range(2)
        ]
        about = {"multiscales": [{"axes": axes, "datasets": datasets}]}
        group.attrs.update({"ome": {"version": "0.5", **about}} if version == 3 else about)
        return path, pixels

    return write


def edit(file: str, *keys: str | int, to: Any) -> Edit:
    """Change one value of a JSON document."""

    def change(store: Path) -> None:
        document = json.loads((store / file).read_text())
        place = document
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to
        (store / file).write_text(json.dumps(document))

    return change


def cut(file: str, share: float = 0.5) -> Edit:
    return lambda store: os.truncate(store / file, int((store / file).stat().st_size * share))


def put(file: str, content: bytes) -> Edit:
    return lambda store: (store / file).write_bytes(content) and None


def leads_out(file: str) -> Edit:
    def link(store: Path) -> None:
        secret = store.parent / "secret"
        (store / file).rename(secret)
        (store / file).symlink_to(secret)

    return link


SCALES = ("attributes", "ome", "multiscales")
FIRST = (*SCALES, 0, "datasets", 0, "path")
REFUSED = {
    "description cut off": (cut("zarr.json"), "description is damaged"),
    "description empty": (put("zarr.json", b""), "description is damaged"),
    "description is no object": (put("zarr.json", b"[1]"), "description is damaged"),
    "description nested without end": (put("zarr.json", b"[" * 200_000), "description is damaged"),
    "description of 17 MB": (put("zarr.json", b" " * (17 * 2**20)), "more than the"),
    "no image in the description": (edit("zarr.json", "attributes", to={}), "no OME-Zarr image"),
    "image list empty": (edit("zarr.json", *SCALES, to=[]), "description is damaged"),
    "image is a number": (edit("zarr.json", *SCALES, to=5), "description is damaged"),
    "no resolutions": (edit("zarr.json", *SCALES, 0, "datasets", to=[]), "0 resolutions"),
    "ten thousand resolutions": (
        edit("zarr.json", *SCALES, 0, "datasets", to=[{}] * 10_000),
        "10000 resolutions",
    ),
    "path to a parent": (edit("zarr.json", *FIRST, to="../secret"), "leads out of the store"),
    "path to a parent within": (edit("zarr.json", *FIRST, to="0/../../secret"), "leads out of the store"),
    "absolute path": (edit("zarr.json", *FIRST, to="/etc"), "leads out of the store"),
    "path with backslashes": (edit("zarr.json", *FIRST, to="..\\secret"), "leads out of the store"),
    "path that is a URL": (edit("zarr.json", *FIRST, to="http://127.0.0.1/x"), "leads out of the store"),
    "path with a null byte": (edit("zarr.json", *FIRST, to="0\0"), "leads out of the store"),
    "path is a number": (edit("zarr.json", *FIRST, to=3), "description is damaged"),
    "array linked from outside": (leads_out("0"), "leads out of the folder"),
    "array is missing": (edit("zarr.json", *FIRST, to="7"), "not there"),
    "axes twice": (edit("zarr.json", *SCALES, 0, "axes", to=["y", "x", "x"]), "axes"),
    "axes too many": (
        edit("zarr.json", *SCALES, 0, "axes", to=["t", "z", "y", "x"]),
        "description is damaged",
    ),
    "scale of the wrong length": (
        edit("zarr.json", *SCALES, 0, "datasets", 0, "coordinateTransformations", 0, "scale", to=[1]),
        "description is damaged",
    ),
    "array description cut off": (cut("0/zarr.json"), "array '0' is damaged"),
    "array is a group": (edit("0/zarr.json", "node_type", to="group"), "no array"),
    "shape negative": (edit("0/zarr.json", "shape", to=[3, -1, 200]), "its shape"),
    "shape zero": (edit("0/zarr.json", "shape", to=[3, 0, 200]), "its shape"),
    "shape beyond any number": (edit("0/zarr.json", "shape", to=[3, 2**63, 2**63]), "its shape"),
    "shape of words": (edit("0/zarr.json", "shape", to=[3, "300", 200]), "not whole numbers"),
    "chunks of nothing": (
        edit("0/zarr.json", "chunk_grid", "configuration", "chunk_shape", to=[3, 0, 9]),
        "its shape",
    ),
    "giant chunks": (
        edit("0/zarr.json", "chunk_grid", "configuration", "chunk_shape", to=[3, 60_000, 60_000]),
        "has chunks of",
    ),
    "seven channels": (edit("0/zarr.json", "shape", to=[7, 300, 200]), "7 channels"),
    "other numbers": (edit("0/zarr.json", "data_type", to="float64"), "float64 pixels"),
    "fill value out of range": (edit("0/zarr.json", "fill_value", to=1e300), "fill value"),
    "unknown packing": (edit("0/zarr.json", "codecs", 1, "name", to="pickle"), "packed with pickle"),
    "no packing at all": (edit("0/zarr.json", "codecs", to=[]), "is damaged"),
    "keys that climb": (
        edit(
            "0/zarr.json",
            "chunk_key_encoding",
            to={"name": "default", "configuration": {"separator": "/../"}},
        ),
        "keys are separated",
    ),
}


@pytest.mark.parametrize(("damage", "says"), REFUSED.values(), ids=REFUSED)
def test_refused_in_one_sentence(store, damage, says):
    path, _ = store()
    damage(path)
    with pytest.raises(SlideError, match=says) as caught:
        open_slide(path)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


CHUNK_FILE = "0/c/0/1/2"
BAD_CHUNKS = {
    "chunk cut off": (3, {}, cut(CHUNK_FILE)),
    "chunk empty": (3, {}, put(CHUNK_FILE, b"")),
    "chunk of noise": (3, {}, put(CHUNK_FILE, os.urandom(4000))),
    "chunk too long": (3, {"compressors": None}, put(CHUNK_FILE, bytes(3 * 64 * 64 + 1))),
    "chunk too short": (3, {"compressors": None}, put(CHUNK_FILE, bytes(3 * 64 * 64 - 1))),
    "chunk file of 1 GB": (3, {}, lambda store: os.truncate(store / CHUNK_FILE, 2**30)),
    "chunk linked from outside": (3, {}, leads_out(CHUNK_FILE)),
    "zstd bomb": (3, {}, put(CHUNK_FILE, bytes(numcodecs.Zstd().encode(bytes(2**27))))),
    "zstd claims 2 GB": (
        3,
        {},
        put(CHUNK_FILE, b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", 2**31 - 1) + b"\1\0\0"),
    ),
    "blosc bomb": (
        2,
        {"compressors": [numcodecs.Blosc()]},
        put("0/0/1/2", bytes(numcodecs.Blosc("zstd").encode(bytes(2**27)))),
    ),
    "blosc claims 4 GB": (
        2,
        {"compressors": [numcodecs.Blosc()]},
        put("0/0/1/2", struct.pack("<BBBBIII", 2, 1, 0x21, 1, 2**32 - 1, 2**18, 16)),
    ),
    "gzip bomb": (
        2,
        {"compressors": [numcodecs.GZip()]},
        put("0/0/1/2", numcodecs.GZip(9).encode(bytes(2**26))),
    ),
    "lz4 claims 2 GB": (
        2,
        {"compressors": [numcodecs.LZ4()]},
        put("0/0/1/2", struct.pack("<I", 2**31 - 1) + bytes(99)),
    ),
}


@pytest.mark.parametrize(("version", "options", "damage"), BAD_CHUNKS.values(), ids=BAD_CHUNKS)
def test_a_bad_chunk_is_marked_and_the_rest_is_read(store, version, options, damage):
    path, pixels = store(version, **options)
    damage(path)
    before, start = _peak(), time.process_time()
    level = open_slide(path).levels[0]
    with pytest.warns(BrokenTileWarning, match="row 64, column 128"):
        read = level.pixels[:]
    expected = pixels.copy()
    expected[64:128, 128:192] = BROKEN
    np.testing.assert_array_equal(read, expected)
    assert time.process_time() - start < 10
    assert _peak() - before < 2**29


SHARDED = {"chunks": (3, 64, 64), "shards": (3, 128, 128)}
SHARD = "0/c/0/0/1"


def _index(number: int, value: int) -> Edit:
    """Change one number of the index at the end of a shard; its checksum follows."""

    def change(store: Path) -> None:
        from google_crc32c import value as crc32c

        content = bytearray((store / SHARD).read_bytes())
        index = content[-68:-4]
        index[8 * number : 8 * number + 8] = struct.pack("<Q", value)
        content[-68:] = index + struct.pack("<I", crc32c(bytes(index)))
        (store / SHARD).write_bytes(content)

    return change


def _flip(store: Path) -> None:
    content = bytearray((store / SHARD).read_bytes())
    content[-60] ^= 1
    (store / SHARD).write_bytes(content)


BAD_SHARDS = {
    "offset beyond the end": _index(0, 10**9),
    "length beyond the end": _index(1, 10**5),
    "length of 4 EB": _index(1, 2**62),
    "offset that overflows": _index(0, 2**64 - 2),
    "index flipped by a bit": _flip,
    "shard cut off": cut(SHARD),
    "shard of a few bytes": put(SHARD, b"abc"),
}


@pytest.mark.parametrize("damage", BAD_SHARDS.values(), ids=BAD_SHARDS)
def test_a_bad_shard_is_marked_and_the_rest_is_read(store, damage):
    path, pixels = store(**SHARDED)
    damage(path)
    level = open_slide(path).levels[0]
    with pytest.warns(BrokenTileWarning):
        read = level.pixels[:]
    assert (read[:64, 128:192] == BROKEN).all()
    np.testing.assert_array_equal(read[:, :128], pixels[:, :128])
    np.testing.assert_array_equal(read[128:], pixels[128:])


def test_shards_within_shards_are_refused(store):
    path, _ = store(**SHARDED)
    inner = json.loads((path / "0" / "zarr.json").read_text())["codecs"]
    edit("0/zarr.json", "codecs", 0, "configuration", "codecs", to=inner)(path)
    with pytest.raises(SlideError, match="chain of codecs"):
        open_slide(path)


def test_a_coarse_level_that_is_damaged_is_left_out(store):
    path, pixels = store()
    cut("1/zarr.json")(path)
    slide = open_slide(path)
    assert [level.shape for level in slide.levels] == [(300, 200)]
    assert "level 1 is left out" in " ".join(slide.warnings)
    np.testing.assert_array_equal(slide.levels[0].pixels[:], pixels)


def test_two_million_by_two_million_pixels_are_only_claimed(store):
    path, _ = store()
    for number in range(2):
        edit(f"{number}/zarr.json", "shape", to=[3, 2_000_000, 2_000_000])(path)
    with pytest.raises(SlideError, match="2000000 × 2000000"):
        open_slide(path)


@pytest.mark.timeout(60)
@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes")
def test_a_pipe_in_place_of_a_chunk_does_not_hang(store):
    path, _ = store()
    (path / CHUNK_FILE).unlink()
    os.mkfifo(path / CHUNK_FILE)
    with pytest.warns(MissingTileWarning):
        open_slide(path).levels[0].pixels[:]


def _peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
