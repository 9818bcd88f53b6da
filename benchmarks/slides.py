"""What slides cost: random reads, the first layer in napari, a giant slide, descriptors against squidpy's.

    python benchmarks/slides.py [reads napari giant squidpy] [--work DIR] [--threads 2] [--json]

Makes its own slides in `--work` and uses them again: a JPEG pyramid of 24,000 x 32,000 pixels, and sparse
OME-Zarr slides of up to 100,000 x 100,000 pixels at 0.25 um per pixel, of which 6 % is simulated tissue and
the rest glass. `napari` needs a screen (xvfb-run, or scripts/with-screen). Every measure runs in a process of
its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from slides_made import giant_zarr, jpeg_pyramid

READS, SIDE = 200, 512
PITCH_UM = 55.0
GIANTS = (25_000, 50_000, 100_000)
PARTS = ("reads", "napari", "giant", "squidpy")

Record = dict[str, Any]


def record(measure: str, dataset: str, method: str, value: float, unit: str, **more: object) -> Record:
    """One line of the result."""
    return {
        "measure": measure,
        "dataset": dataset,
        "method": method,
        "value": round(value, 4),
        "unit": unit,
        **more,
    }


def reads(work: Path, threads: int) -> list[Record]:
    """Random reads, warm, histoscribe and bare tifffile -> zarr in turns on the same places."""
    import tifffile
    import zarr

    from histoscribe.slide import open_slide

    path = jpeg_pyramid(work)
    slide = open_slide(path)
    ours = slide.levels[0].pixels
    tif = tifffile.TiffFile(path)
    bare = zarr.open_array(store=tif.series[0].aszarr(level=0), mode="r")
    rows, columns = slide.shape
    random = np.random.default_rng(0)
    corners = np.stack([random.integers(0, side - SIDE, 3 * READS) for side in (rows, columns)], 1).tolist()
    seconds: dict[str, list[float]] = {"histoscribe": [], "tifffile -> zarr": []}
    path.read_bytes()  # into the system's cache
    for number, (row, column) in enumerate(corners):
        where = np.s_[row : row + SIDE, column : column + SIDE]
        turn = [("histoscribe", ours), ("tifffile -> zarr", bare)][:: 1 if number % 2 else -1]
        pixels = []
        for method, array in turn:
            start = time.perf_counter()
            pixels.append(array[where])
            seconds[method].append(time.perf_counter() - start)
        assert np.array_equal(*pixels)
    name = f"JPEG pyramid, {rows} x {columns}"
    medians = {method: 1000 * float(np.median(times)) for method, times in seconds.items()}
    ratio = medians["histoscribe"] / medians["tifffile -> zarr"]
    return [
        *(
            record("random 512 px read, median", name, method, value, "ms")
            for method, value in medians.items()
        ),
        record(
            "random 512 px read, ratio", name, "histoscribe", ratio, "x tifffile -> zarr", bar="at most 1.3"
        ),
    ]


def napari(work: Path, threads: int) -> list[Record]:
    """Until a layer is drawn in a window that stands already: napari's own share first, then the slide."""
    import napari
    from qtpy.QtWidgets import QApplication

    from histoscribe.widgets.contributions.readers import get_reader

    path = jpeg_pyramid(work)
    viewer = napari.Viewer()
    QApplication.processEvents()

    def shown(add: Callable[[], Any]) -> tuple[float, float]:
        start, used = time.perf_counter(), time.process_time()
        layer = add()
        while not layer.loaded:
            QApplication.processEvents()
        viewer.window.screenshot()
        return time.perf_counter() - start, time.process_time() - used

    def slide() -> Any:
        reader = get_reader(str(path))
        assert reader is not None
        ((pixels, described, _),) = reader(str(path))
        return viewer.add_image(pixels, **described)

    nothing = shown(lambda: viewer.add_image(np.zeros((8, 8, 3), np.uint8)))
    ours = shown(slide)
    viewer.close()
    name = "JPEG pyramid, 24000 x 32000"
    return [
        record("first layer of all, which imports xarray", "8 x 8 array", "napari", nothing[0], "s"),
        record("its processor time", "8 x 8 array", "napari", nothing[1], "s"),
        record("first slide in napari, after import", name, "histoscribe", ours[0], "s", bar="under 1"),
        record("its processor time", name, "histoscribe", ours[1], "s"),
    ]


def giant(work: Path, threads: int) -> list[Record]:
    """Open, find tissue, place tiles 55 um apart and describe them all, on slides of three sizes."""
    import dask

    from histoscribe.features import BuiltinEncoder, encode_tiles
    from histoscribe.slide import open_slide
    from histoscribe.slide.zarr.backend import MissingTileWarning
    from histoscribe.tiles import grid_tiles

    encoder = BuiltinEncoder()
    encoder.encode(np.full((1, 512, 512, 3), 255, np.uint8))
    before = _peak()
    warnings.simplefilter("ignore", MissingTileWarning)  # glass is not stored
    records, counts, times = [], [], []
    for side in GIANTS:
        path = giant_zarr(work, side)
        start, used = time.perf_counter(), time.process_time()
        slide = open_slide(path)
        tiles = grid_tiles(slide, PITCH_UM)
        placed = time.perf_counter() - start
        with dask.config.set(num_workers=threads):
            features = encode_tiles(slide, tiles, encoder)
        seconds, used = time.perf_counter() - start, time.process_time() - used
        assert np.isfinite(features).all()
        name = f"OME-Zarr, {side} x {side} at 0.25 um/px"
        share = len(tiles) * (PITCH_UM / 0.25 / side) ** 2
        counts.append(len(tiles))
        times.append(used)
        records += [
            record("tissue found and tiles placed", name, "histoscribe", placed, "s", tiles=len(tiles)),
            record("described, all in all", name, "histoscribe", seconds, "s", tissue=round(share, 3)),
            record("processor time per tile", name, "histoscribe", 1000 * used / len(tiles), "ms"),
            record("tiles per second", name, "histoscribe", len(tiles) / seconds, "1/s", threads=threads),
        ]
    memory = (_peak() - before) / 1e9
    records.append(record("peak memory above the start", name, "histoscribe", memory, "GB", bar="under 2"))
    slope = float(np.polyfit(np.log(counts), np.log(times), 1)[0])
    records.append(
        record("processor time grows as tiles to the power", "three sizes", "histoscribe", slope, "", bar="1")
    )
    return records


def squidpy(work: Path, threads: int) -> list[Record]:
    """The built-in encoder and `squidpy.im.calculate_image_features` on the same tiles and cores."""
    import anndata
    import dask
    import squidpy as sq

    from histoscribe.features import BuiltinEncoder, encode_tiles
    from histoscribe.slide import Window, open_slide
    from histoscribe.tiles import Tiles, grid_tiles

    slide = open_slide(giant_zarr(work, GIANTS[0]))
    encoder = BuiltinEncoder()
    places = grid_tiles(slide, PITCH_UM)
    inner = places.centres[np.argsort(np.abs(places.centres - places.centres.mean(axis=0)).max(axis=1))[:256]]
    tiles = Tiles(inner, PITCH_UM, tuple(f"t{n}" for n in range(len(inner))), PITCH_UM)
    encode_tiles(slide, Tiles(inner[:8], PITCH_UM, tiles.names[:8], PITCH_UM), encoder)
    times, costs = [], []
    for _ in range(3):
        fresh = open_slide(slide.path)
        start, used = time.perf_counter(), time.process_time()
        with dask.config.set(num_workers=threads):
            encode_tiles(fresh, tiles, encoder)
        times.append(time.perf_counter() - start)
        costs.append((time.process_time() - used) / len(tiles))
    ours = len(tiles) / min(times)

    few = inner[:: len(inner) // 32][:32]
    margin = encoder.crop_um / slide.mpp
    corner, extent = few.min(axis=0) - margin, np.ptp(few, axis=0) + 2 * margin
    image = slide.read(Window(*corner, *extent), encoder.mpp)
    spots = (few - corner)[:, ::-1] * slide.mpp / encoder.mpp
    table = anndata.AnnData(np.zeros((len(few), 1), np.float32), obsm={"spatial": spots})
    scales = {"spot_diameter_fullres": encoder.crop_um / encoder.mpp, "tissue_hires_scalef": 1.0}
    table.uns["spatial"] = {"one": {"scalefactors": scales}}
    container = sq.im.ImageContainer(image, layer="image", dims=("y", "x", "channels"), library_id="one")
    asked = ["summary", "histogram", "texture"]

    def describe(rows: anndata.AnnData, jobs: int) -> tuple[float, float]:
        start, used = time.perf_counter(), time.process_time()
        sq.im.calculate_image_features(
            rows,
            container,
            layer="image",
            library_id="one",
            features=asked,
            n_jobs=jobs,
            show_progress_bar=False,
        )
        return time.perf_counter() - start, time.process_time() - used

    describe(table[: 2 * threads].copy(), threads)  # starts its worker processes
    theirs = len(few) / describe(table, threads)[0]
    _, one = describe(table[:8].copy(), 1)
    name = f"tiles of 512 x 512 px at 1 um/px, {threads} cores"
    return [
        record(
            "tiles per second", name, "histoscribe", ours, "1/s", tiles=len(tiles), numbers=encoder.dimension
        ),
        record(
            "tiles per second",
            name,
            "squidpy",
            theirs,
            "1/s",
            tiles=len(few),
            numbers=table.obsm["img_features"].shape[1],
        ),
        record("tiles per second, ratio", name, "histoscribe", ours / theirs, "x squidpy", bar="at least 20"),
        record("processor time per tile", name, "histoscribe", 1000 * min(costs), "ms", reading="included"),
        record("processor time per tile", name, "squidpy", 1000 * one / 8, "ms", jobs=1),
    ]


def _peak() -> float:
    """Most memory that this process has held, in bytes."""
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Parse the command line, measure each part in a process of its own, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"some of: {', '.join(PARTS)}")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "histoscribe-slides")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.alone:
        records = globals()[options.parts[0]](options.work, options.threads)
        print(json.dumps(records))
        return
    records = []
    for part in options.parts:
        command = [
            sys.executable,
            __file__,
            part,
            "--alone",
            "--work",
            options.work,
            "--threads",
            options.threads,
        ]
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        records += found
        if not options.json:
            for entry in found:
                more = {key: value for key, value in entry.items() if key not in record("", "", "", 0, "")}
                words = ", ".join(f"{key} {value}" for key, value in more.items())
                print(f"{entry['measure']:38s} {entry['dataset']:45s} {entry['method']:17s} ", end="")
                print(f"{entry['value']:10.4g} {entry['unit']}  {words}", flush=True)
    settings = {
        "threads": options.threads,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }
    print(json.dumps({"settings": settings, "records": records}) if options.json else settings)


if __name__ == "__main__":
    main()
