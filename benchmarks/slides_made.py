"""The slides that benchmarks/slides.py measures: made from the simulated sample, used again if they stand."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

ROWS, COLUMNS = 24_000, 32_000
STAMP = 4096  # pixels along one side of the piece of tissue that a giant slide repeats
TISSUE = 0.06  # share of a giant slide that is tissue
FACTORS = (1, 4, 16, 64)
MPP = 0.25


def tissue(side: int) -> Pixels:
    """A seamless square of simulated tissue with the grain of a camera."""
    from histoscribe.simulate import sample_folder
    from histoscribe.slide import open_slide

    slide = open_slide(sample_folder() / "P1A" / "P1A.tif")
    rows, columns = slide.shape
    half = side // 2
    middle = slide.levels[0].pixels[rows // 4 : rows // 4 + 512, columns // 4 : columns // 4 + 512]
    piece = middle.repeat(2, axis=0).repeat(2, axis=1)
    times = -(-half // len(piece))
    piece = np.tile(
        np.block([[[piece], [piece[:, ::-1]]], [[piece[::-1]], [piece[::-1, ::-1]]]]), (times, times, 1)
    )
    grain = np.random.default_rng(0).integers(-6, 7, (side, side, 3), dtype=np.int16)
    return (piece[:side, :side] + grain).clip(0, 255).astype(np.uint8)


def jpeg_pyramid(work: Path) -> Path:
    """A JPEG pyramid of 24,000 x 32,000 pixels, tiles of 256, levels 1, 4 and 16."""
    import tifffile

    path = work / "pyramid-24k.tif"
    if path.exists():
        return path
    image = tissue(STAMP)
    fresh = path.with_suffix(".part")
    with tifffile.TiffWriter(fresh, bigtiff=True) as tiff:
        for factor in (1, 4, 16):
            small = image[::factor, ::factor]

            def tiles(small: Pixels = small, factor: int = factor) -> Iterator[Pixels]:
                for top in range(0, ROWS // factor, 256):
                    for left in range(0, COLUMNS // factor, 256):
                        yield small[top % len(small) :][:256, left % len(small) :][:, :256]

            tiff.write(
                tiles(),
                shape=(ROWS // factor, COLUMNS // factor, 3),
                dtype=np.uint8,
                tile=(256, 256),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": 80},
                subfiletype=int(factor > 1),
                resolution=(1e4 / MPP / factor,) * 2,
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    os.replace(fresh, path)
    return path


def giant_zarr(work: Path, side: int) -> Path:
    """A sparse OME-Zarr 0.4 slide: a disc of tissue, stored once and linked, on glass that is not stored."""
    import numcodecs

    path = work / f"giant-{side}.zarr"
    if path.exists():
        return path
    image = tissue(STAMP)
    fresh = work / f"giant-{side}.part"
    shutil.rmtree(fresh, ignore_errors=True)
    packing = numcodecs.Blosc("lz4", clevel=1)
    places = _disc(side)
    for number, factor in enumerate(FACTORS):
        small = image[::factor, ::factor]
        chunk = min(512, len(small))
        shape = [3, side // factor, side // factor]
        about = {"zarr_format": 2, "shape": shape, "chunks": [3, chunk, chunk], "dtype": "|u1", "order": "C"}
        about |= {
            "compressor": packing.get_config(),
            "filters": None,
            "fill_value": 255,
            "dimension_separator": "/",
        }
        level = fresh / str(number)
        level.mkdir(parents=True)
        (level / ".zarray").write_text(json.dumps(about))
        per_stamp = len(small) // chunk
        for row in range(per_stamp):
            for column in range(per_stamp):
                block = small[row * chunk :, column * chunk :][:chunk, :chunk]
                data = packing.encode(np.ascontiguousarray(block.transpose(2, 0, 1)))
                first = None
                for down, across in places:
                    file = level / "0" / str(down * per_stamp + row) / str(across * per_stamp + column)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    if first is None:
                        file.write_bytes(data)
                        first = file
                    else:
                        os.link(first, file)
    datasets = [
        {
            "path": str(number),
            "coordinateTransformations": [{"type": "scale", "scale": [1.0, MPP * factor, MPP * factor]}],
        }
        for number, factor in enumerate(FACTORS)
    ]
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"]
    about = {"multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}]}
    (fresh / ".zattrs").write_text(json.dumps(about))
    (fresh / ".zgroup").write_text('{"zarr_format": 2}')
    os.replace(fresh, path)
    return path


def _disc(side: int) -> list[tuple[int, int]]:
    """Places of stamps that lie nearest to the middle and cover `TISSUE` of the slide."""
    count = side // STAMP
    wanted = max(1, round(TISSUE * side**2 / STAMP**2))
    middle = (count - 1) / 2
    places = [(row, column) for row in range(count) for column in range(count)]
    return sorted(places, key=lambda place: (place[0] - middle) ** 2 + (place[1] - middle) ** 2)[:wanted]
