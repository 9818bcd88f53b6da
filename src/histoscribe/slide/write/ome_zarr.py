"""A slide as OME-Zarr 0.5: sharded, checksummed, and going on where a stopped run left off."""

import base64
import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from histoscribe.errors import Cancelled, StorageError, reason_of
from histoscribe.files import replacing
from histoscribe.progress import Progress
from histoscribe.slide.colour import RGB, profile_bytes
from histoscribe.slide.model import Slide
from histoscribe.slide.zarr.metadata import OWN

_CHUNK = 512
_SHARD = 4 * _CHUNK
_ZSTD_LEVEL = 3


def write_ome_zarr(slide: Slide, path: Path, *, progress: Progress | None = None) -> None:
    """Write all levels of a slide as one OME-Zarr folder; see `write_slide`.

    Work in progress lies in a hidden folder beside `path`; it is taken up again for the same slide.
    """
    import zarr

    progress = progress or Progress()
    sides = [[math.ceil(side / _SHARD) for side in level.shape] for level in slide.levels]
    total, done = sum(rows * columns for rows, columns in sides), 0
    with _staging(slide, path) as (content, finished, tick):
        for number, level in enumerate(slide.levels):
            rows, columns = level.shape
            shard = tuple(_CHUNK * math.ceil(min(_SHARD, side) / _CHUNK) for side in level.shape)
            array = _array(content, number, (3, rows, columns), shard)
            for top in range(0, rows, _SHARD):
                for left in range(0, columns, _SHARD):
                    progress.report("writing OME-Zarr", done, total)
                    key = f"{number}/{top}/{left}"
                    if key not in finished:
                        bottom, right = min(top + _SHARD, rows), min(left + _SHARD, columns)
                        block = level.pixels[top:bottom, left:right]
                        array[:, top:bottom, left:right] = np.ascontiguousarray(block.transpose(2, 0, 1))
                        tick(key)
                    done += 1
        group = zarr.open_group(content, mode="r+", zarr_format=3)
        group.attrs.update(_attributes(slide))
        progress.report("writing OME-Zarr", total, total)
        with replacing(path) as fresh:
            os.replace(content, fresh)


def _array(content: Path, number: int, shape: tuple[int, ...], shard: tuple[int, ...]) -> Any:
    """The array of one level: the one begun before, or a new one."""
    import zarr
    from zarr.codecs import ZstdCodec

    if (content / str(number) / "zarr.json").exists():
        return zarr.open_array(content / str(number), mode="r+")
    group = zarr.open_group(content, mode="a", zarr_format=3)
    return group.create_array(
        str(number),
        shape=shape,
        chunks=(3, _CHUNK, _CHUNK),
        shards=(3, *shard),
        dtype="uint8",
        fill_value=255,
        compressors=[ZstdCodec(level=_ZSTD_LEVEL, checksum=True)],
        dimension_names=("c", "y", "x"),
        config={"write_empty_chunks": True},
    )


@contextmanager
def _staging(slide: Slide, path: Path) -> Iterator[tuple[Path, set[str], Any]]:
    """Yield the folder to fill, the parts that it holds already, and what notes a further one."""
    folder = path.parent / f".{path.name}.partial"
    record, ticks, content = folder / "source.json", folder / "done.txt", folder / "content"
    about = slide.path.stat() if slide.path.exists() else None
    same = {  # for work begun before to be of use
        "source": slide.url or str(slide.path.resolve()),
        "bytes": about and about.st_size,
        "changed": about and about.st_mtime_ns,
        "levels": [[*level.shape, level.downsample] for level in slide.levels],
        "packing": [_CHUNK, _SHARD, _ZSTD_LEVEL],
    }
    identity = json.dumps(same, sort_keys=True)
    try:
        if not record.exists() or record.read_text(encoding="utf-8") != identity:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            record.write_text(identity, encoding="utf-8")
        finished = set(ticks.read_text(encoding="utf-8").split("\n")[:-1]) if ticks.exists() else set()
        with ticks.open("a", encoding="utf-8") as stream:

            def tick(key: str) -> None:
                stream.write(f"{key}\n")
                stream.flush()

            yield content, finished, tick
    except (Cancelled, KeyboardInterrupt) as stop:
        raise Cancelled(
            remedy=f"what is done is kept in {folder}: the same command goes on from there, or delete it"
        ) from stop
    except OSError as error:
        if not str(error.filename or folder).startswith(str(path.parent)):
            raise
        remedy = "choose another place"
        raise StorageError(f"cannot write ({reason_of(error).lower()})", where=path, remedy=remedy) from error
    shutil.rmtree(folder, ignore_errors=True)


def _attributes(slide: Slide) -> dict[str, Any]:
    first = slide.levels[0].downsample
    um = slide.mpp * first if slide.mpp is not None else 1.0
    unit = {"unit": "micrometer"} if slide.mpp is not None else {}
    datasets = []
    for number, level in enumerate(slide.levels):
        factor = level.downsample / first
        # a coarse pixel's centre lies in the middle of the fine ones that it covers
        steps = [
            {"type": "scale", "scale": [1.0, um * factor, um * factor]},
            {"type": "translation", "translation": [0.0, um * (factor - 1) / 2, um * (factor - 1) / 2]},
        ]
        datasets.append({"path": str(number), "coordinateTransformations": steps})
    axes = [{"name": "c", "type": "channel"}, *({"name": axis, "type": "space", **unit} for axis in "yx")]
    window = {"start": 0, "end": 255, "min": 0, "max": 255}
    channels = [
        {"label": label, "color": colour, "active": True, "window": window}
        for label, colour in zip(("red", "green", "blue"), RGB, strict=True)
    ]
    own = {"complete": True, "vendor": slide.vendor, "objective": slide.objective}
    profile = profile_bytes(slide)
    if profile is not None:
        own["icc_profile"] = base64.b64encode(profile).decode("ascii")
    ome = {
        "version": "0.5",
        "multiscales": [{"name": slide.name, "axes": axes, "datasets": datasets}],
        "omero": {"channels": channels, "rdefs": {"model": "color"}},
    }
    return {"ome": ome, OWN: own}
