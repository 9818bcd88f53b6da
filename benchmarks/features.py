"""How fast tiles are described, beside squidpy's image features and a loop over scikit-image.

    python benchmarks/features.py [--tiles 96] [--threads 2] [--data FOLDER] [--json]

Reads the crops of section B4 (HER2+, 283 spots) where the data folder is at hand, else paints noise. Every
method gets the same crops in memory and the same number of cores; methods take turns, and each keeps its
best turn, so that another job on the machine does not decide. Processor time is that of this process; the
jobs of squidpy on several cores are processes of their own. `squidpy` is
`squidpy.im.calculate_image_features` with its features summary, histogram and texture. `growing slides`
are whole slides, from the file to the descriptors, at three sizes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask
import numpy as np
import tifffile
from numpy.typing import NDArray

from histoscribe.features import BuiltinEncoder, describe_tiles, encoder_named
from histoscribe.section import read_cohort
from histoscribe.slide import open_slide
from histoscribe.tiles import grid_tiles, read_crops, spot_tiles

Crops = NDArray[np.uint8]
TURNS = 4
FEW = 24  # tiles for the slow ones
GROWING_PX = (1024, 2048, 4096)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the wall, and of processor time over all threads of this process."""
    wall, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - used


def ours(crops: Crops, threads: int) -> Callable[[], object]:
    """The built-in encoder on so many threads."""
    encoder = BuiltinEncoder()
    if threads == 1:
        return lambda: encoder.encode(crops)
    parts = np.array_split(crops, -(-len(crops) // 16))

    def work() -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(encoder.encode, parts))

    return work


def squidpy_features(crops: Crops, jobs: int) -> tuple[Callable[[], object], int]:
    """squidpy's features of the tiles, laid side by side in one image; and how many they are."""
    import anndata
    from squidpy.im import ImageContainer, calculate_image_features

    count, side = len(crops), crops.shape[1]
    image = ImageContainer(np.concatenate(list(crops), axis=1), layer="image", dims=("y", "x", "channels"))
    table = anndata.AnnData(np.zeros((count, 1), dtype=np.float32))
    middle = side / 2
    table.obsm["spatial"] = np.column_stack([middle + side * np.arange(count), np.full(count, middle)])
    table.uns["spatial"] = {"tiles": {"scalefactors": {"spot_diameter_fullres": float(side)}}}

    def work() -> None:
        calculate_image_features(
            table,
            image,
            library_id="tiles",
            features=["summary", "histogram", "texture"],
            key_added="features",
            n_jobs=jobs,
            show_progress_bar=False,
        )

    work()
    return work, table.obsm["features"].shape[1]


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


def growing(crops: Crops, threads: int) -> list[dict[str, Any]]:
    """Whole slides of three sizes, paved with the crops, from the closed file to the descriptors."""
    records = []
    with tempfile.TemporaryDirectory() as folder, dask.config.set(num_workers=threads):
        for pixels in GROWING_PX:
            path = Path(folder) / f"{pixels}.tif"
            across = pixels // crops.shape[1]
            chosen = crops[np.arange(across * across) % len(crops)]
            rows = [
                np.concatenate(list(chosen[row * across : (row + 1) * across]), 1) for row in range(across)
            ]
            tifffile.imwrite(
                path, np.concatenate(rows), tile=(256, 256), photometric="rgb", compression="jpeg"
            )

            def work(path: Path = path) -> int:
                slide = open_slide(path, mpp=0.5)
                tiles = grid_tiles(slide, 110.0, mask=False)
                return len(describe_tiles(slide, tiles, BuiltinEncoder()).features)

            count = work()
            wall, used = min(timed(work) for _ in range(3))
            records.append(record(f"growing slides, {pixels} px", threads, (wall, used), count, 0))
    return records


def record(method: str, cores: int, seconds: tuple[float, float], tiles: int, numbers: int) -> dict[str, Any]:
    """One line of the result."""
    return {
        "method": method,
        "cores": cores,
        "tiles": tiles,
        "numbers_per_tile": numbers or BuiltinEncoder().dimension,
        "ms_per_tile": round(1000 * seconds[0] / tiles, 2),
        "processor_ms_per_tile": round(1000 * seconds[1] / tiles, 2),
        "tiles_per_second": round(tiles / seconds[0], 1),
    }


def measure(tiles: int, threads: int, data: Path | None) -> dict[str, Any]:
    """Run everything; returns settings and records."""
    encoder = BuiltinEncoder()
    side = round(encoder.crop_um / encoder.mpp)
    section = None
    if data is not None:
        section = next(found for found in read_cohort(data / "her2st" / "cohort.csv") if found.name == "B4")
    if section is None or section.slide is None:
        crops = np.random.default_rng(0).integers(0, 256, (tiles, side, side, 3), dtype=np.uint8)
    else:
        places = spot_tiles(section)
        read = read_crops(section.slide, places, crop_um=encoder.crop_um, mpp=encoder.mpp)
        crops = np.concatenate(list(read))[:tiles]
    few = crops[:FEW]
    begun = time.perf_counter()
    encoder.encode(crops[:1])
    first = time.perf_counter() - begun
    load = round(os.getloadavg()[0], 2)
    texture, margin = encoder_named("texture", device="cpu"), (side - 224) // 2
    middle = crops[:FEW, margin:-margin, margin:-margin]
    numbers = {"histoscribe": encoder.dimension, "texture": texture.dimension}
    numbers |= {"scikit-image loop": len(skimage_loop(few[:1])[0])}
    works: dict[tuple[str, int], tuple[Callable[[], object], int]] = {}
    for cores in sorted({1, threads}):
        works["histoscribe", cores] = ours(crops, cores), len(crops)
        work, numbers["squidpy"] = squidpy_features(few, cores)
        works["squidpy", cores] = work, len(few)
    works["texture", 1] = lambda: texture.encode(middle), len(middle)
    works["scikit-image loop", 1] = lambda: skimage_loop(few[:4]), 4
    best = {key: [np.inf, np.inf] for key in works}
    for _ in range(TURNS):
        for key, (work, _) in works.items():
            best[key] = [min(pair) for pair in zip(best[key], timed(work), strict=True)]
    records = [
        record(method, cores, (best[method, cores][0], best[method, cores][1]), count, numbers[method])
        for (method, cores), (_, count) in works.items()
    ]
    for entry in records:
        own = next(
            found for found in records if (found["method"], found["cores"]) == ("histoscribe", entry["cores"])
        )
        entry["times_ours"] = round(entry["ms_per_tile"] / own["ms_per_tile"], 1)
    records += growing(crops, threads)
    settings = {
        "encoder": encoder.name,
        "crops": "section B4 of HER2+" if section is not None else "uniform noise",
        "crop_um": encoder.crop_um,
        "mpp": encoder.mpp,
        "first_tile_s": round(first, 2),
        "turns": TURNS,
        "cores": os.cpu_count(),
        "load_before": load,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    return {"settings": settings, "records": records}


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=96, help="crops described in memory")
    parser.add_argument(
        "--threads", type=int, default=min(2, os.cpu_count() or 1), help="the second number of cores"
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("HISTOSCRIBE_DATA"), help="data folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    result = measure(options.tiles, options.threads, None if options.data is None else Path(options.data))
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result["settings"].items():
        print(f"{name}: {value}")
    for entry in result["records"]:
        against = f", {entry['times_ours']:g} × ours" if "times_ours" in entry else ""
        print(
            f"{entry['method']:26s} {entry['cores']} cores, {entry['numbers_per_tile']:3d} numbers, "
            f"{entry['tiles']:4d} tiles: {entry['tiles_per_second']:7.1f} tiles/s, "
            f"{entry['ms_per_tile']:7.2f} ms ({entry['processor_ms_per_tile']:.2f} ms of processor time) "
            f"a tile{against}"
        )


if __name__ == "__main__":
    main()
