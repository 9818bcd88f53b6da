"""How fast tiles are described, beside what a per-tile loop over scikit-image and squidpy's features take.

    python benchmarks/features.py [--tiles 96] [--threads 2] [--data FOLDER] [--json]

Reads the crops of section B4 (HER2+, 283 spots) where the data folder is at hand, else paints noise.
Every method gets the same crops in memory; `section` is the whole way from the closed image file to the
descriptors of all spots. Times are the best of three runs (the peers: one run); tiles per second go by the
clock on the wall, ratios by processor time, which a busy machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import numpy as np
from numpy.typing import NDArray

from histoscribe.features import BuiltinEncoder, encode_tiles
from histoscribe.section import read_cohort
from histoscribe.slide import open_slide
from histoscribe.tiles import read_crops, spot_tiles

Crops = NDArray[np.uint8]


def best_of(runs: int, work: Callable[[], object]) -> tuple[float, float]:
    """Fewest seconds of several runs: on the wall, and of processor time over all threads."""
    times = []
    for _ in range(runs):
        wall, used = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - wall, time.process_time() - used))
    return min(wall for wall, _ in times), min(used for _, used in times)


def skimage_loop(crops: Crops) -> list[list[float]]:
    """Stain statistics, co-occurrence, local binary patterns and nuclei, one tile after the other."""
    from skimage.color import rgb2hed
    from skimage.feature import graycomatrix, graycoprops, local_binary_pattern
    from skimage.filters import gaussian, threshold_otsu
    from skimage.measure import label, regionprops_table

    rows = []
    for crop in crops:
        row: list[float] = []
        stains = rgb2hed(crop)
        for stain in np.moveaxis(stains, -1, 0):
            row += [stain.mean(), stain.std(), *np.quantile(stain, [0.05, 0.25, 0.5, 0.75, 0.95])]
            previous = stain
            for sigma in (1, 2, 4, 8, 16):
                current = gaussian(stain, sigma)
                row.append((previous - current).std())
                previous = current
        grey = crop.mean(axis=2).astype(np.uint8)
        matrix = graycomatrix(grey // 8, [1, 2, 4], [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4], levels=32)
        for measure in ("contrast", "homogeneity", "correlation", "energy"):
            row += graycoprops(matrix, measure).mean(axis=1).tolist()
        codes = local_binary_pattern(grey, 8, 1, "uniform")
        row += (np.bincount(codes.astype(int).ravel(), minlength=10) / codes.size).tolist()
        blurred = gaussian(stains[..., 0], 1)
        blobs = label(blurred > threshold_otsu(blurred))
        table = regionprops_table(blobs, stains[..., 0], ("area", "eccentricity", "mean_intensity"))
        row += [float(blobs.max()), *(float(values.mean()) for values in table.values())]
        rows.append(row)
    return rows


def squidpy_loop(crops: Crops) -> list[int]:
    """squidpy's summary, histogram and texture features of each tile."""
    from squidpy.im import ImageContainer

    counts = []
    for crop in crops:
        image = ImageContainer(crop, layer="image", dims=("y", "x", "channels"))
        features = {
            **image.features_summary("image"),
            **image.features_histogram("image"),
            **image.features_texture("image"),
        }
        counts.append(len(features))
    return counts


def measure(tiles: int, threads: int, data: Path | None) -> dict[str, Any]:
    """Run everything; returns settings and records."""
    encoder = BuiltinEncoder()
    side = round(encoder.crop_um / encoder.mpp)
    section = None
    if data is not None:
        cohort = data / "her2st" / "cohort.csv"
        section = next(found for found in read_cohort(cohort) if found.name == "B4")
    if section is None or section.slide is None:
        crops = np.random.default_rng(0).integers(0, 256, (tiles, side, side, 3), dtype=np.uint8)
    else:
        places = spot_tiles(section)
        read = read_crops(section.slide, places, crop_um=encoder.crop_um, mpp=encoder.mpp)
        crops = np.concatenate(list(read))[:tiles]
    records = []

    def record(method: str, seconds: tuple[float, float], count: int, numbers: int) -> None:
        records.append(
            {
                "method": method,
                "tiles": count,
                "numbers_per_tile": numbers,
                "seconds": round(seconds[0], 3),
                "processor_seconds": round(seconds[1], 3),
                "tiles_per_second": round(count / seconds[0], 1),
            }
        )

    encoder.encode(crops[:1])
    ours = best_of(3, lambda: encoder.encode(crops))
    record("histoscribe, 1 thread", ours, len(crops), encoder.dimension)
    few = crops[:12]
    for name, loop in (("scikit-image loop", skimage_loop), ("squidpy loop", squidpy_loop)):
        numbers = loop(few[:1])[0]
        seconds = best_of(1, lambda loop=loop: loop(few))
        record(name, seconds, len(few), numbers if isinstance(numbers, int) else len(numbers))
    if section is not None and section.slide is not None:
        source, mpp = section.slide.path, section.mpp

        def whole() -> None:
            encode_tiles(open_slide(source, mpp=mpp), places, encoder)

        with dask.config.set(num_workers=threads):
            seconds = best_of(3, whole)
        record(f"histoscribe, section from file, {threads} threads", seconds, len(places), encoder.dimension)
    for entry in records:
        per_tile = entry["processor_seconds"] / entry["tiles"]
        entry["processor_time_ratio"] = round(per_tile / (ours[1] / len(crops)), 2)
    settings = {
        "encoder": encoder.name,
        "crop_um": encoder.crop_um,
        "mpp": encoder.mpp,
        "crops": "section B4 of HER2+" if section is not None else "uniform noise",
        "threads": threads,
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    return {"settings": settings, "records": records}


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=96, help="crops described in memory")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="for the whole section")
    parser.add_argument("--data", type=Path, default=os.environ.get("HISTOSCRIBE_DATA"), help="data folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    result = measure(options.tiles, options.threads, None if options.data is None else Path(options.data))
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result["settings"].items():
        print(f"{name}: {value}")
    for entry in result["records"]:
        print(
            f"{entry['method']:45s} {entry['numbers_per_tile']:4d} numbers, {entry['tiles']:4d} tiles in "
            f"{entry['seconds']:6.2f} s ({entry['processor_seconds']:.2f} s of processor time): "
            f"{entry['tiles_per_second']:6.1f} tiles/s, "
            f"{entry['processor_time_ratio']:.2f} × our processor time per tile"
        )


if __name__ == "__main__":
    main()
