"""What sections cost: opening bins, one gene out of them, a fine grid, another gene on a million bins.

    python benchmarks/sections.py [open slice grid recolour] [--json]

Makes its own Visium HD folder in a temporary place: 90,000 bins of 8 um by 18,000 genes, 110 genes a bin,
drawn with seed 0; and a feature_slice.h5 of 18,000 genes on 3,350 x 3,350 bins of 2 um. scanpy reads the same
matrix in the same run. `recolour` needs no screen: it times the layer's own work, not the drawing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SIDE, GENES, PER_BIN, MPP = 300, 18_000, 110, 0.5
PARTS = ("open", "slice", "grid", "recolour")
Record = dict[str, Any]


def record(measure: str, method: str, value: float, unit: str) -> Record:
    """One line of the result."""
    return {"measure": measure, "method": method, "value": round(value, 4), "unit": unit}


def make_bins(root: Path) -> None:
    """One bin size of a Visium HD run."""
    import pandas as pd

    (root / "spatial").mkdir(parents=True)
    rng, bins = np.random.default_rng(0), SIDE * SIDE
    row, column = np.divmod(np.arange(bins), SIDE)
    names = [f"s_008um_{r:05d}_{c:05d}-1" for r, c in zip(row, column, strict=True)]
    block = GENES // PER_BIN
    genes = np.arange(PER_BIN) * block + rng.integers(0, block, (bins, PER_BIN))
    with h5py.File(root / "filtered_feature_bc_matrix.h5", "w") as file:
        group = file.create_group("matrix")
        packed = {"chunks": (80_000,), "compression": "gzip", "compression_opts": 1, "shuffle": True}
        group.create_dataset("data", data=rng.integers(1, 4, genes.size, dtype=np.int32), **packed)
        group.create_dataset("indices", data=genes.ravel(), **packed)
        group["indptr"] = np.arange(0, genes.size + 1, PER_BIN)
        group["shape"] = np.array([GENES, bins], dtype=np.int32)
        group["barcodes"] = np.array(names, dtype="S")
        for key, letter in (("id", "E"), ("name", "G")):
            group[f"features/{key}"] = np.array([f"{letter}{gene}" for gene in range(GENES)], dtype="S")
        group["features/feature_type"] = np.array(["Gene Expression"] * GENES, dtype="S")
        group["features/genome"] = np.array(["made"] * GENES, dtype="S")
    places = {"pxl_row_in_fullres": row * 8 / MPP + 100, "pxl_col_in_fullres": column * 8 / MPP + 100}
    frame = pd.DataFrame({"barcode": names, "in_tissue": 1, "array_row": row, "array_col": column, **places})
    frame.to_parquet(root / "spatial" / "tissue_positions.parquet")
    scales = {"bin_size_um": 8.0, "microns_per_pixel": MPP, "tissue_hires_scalef": 0.1}
    (root / "spatial" / "scalefactors_json.json").write_text(json.dumps(scales))


def make_slice(path: Path) -> None:
    """A feature_slice.h5 with as many genes as a real one; 200,000 bins of 2 um have each of ten of them."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.attrs["metadata_json"] = json.dumps({"nrows": 3350, "ncols": 3350})
        for key, letter in (("id", "E"), ("name", "G")):
            file[f"features/{key}"] = np.array([f"{letter}{gene}" for gene in range(GENES)], dtype="S")
        for gene in range(GENES):
            bins = 200_000 if gene < 10 else 10
            group = file.create_group(f"feature_slices/{gene}")
            for name in ("row", "col"):
                group[name] = rng.integers(0, 3350, bins, dtype=np.uint32)
            group["data"] = np.ones(bins, dtype=np.uint32)


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """Seconds, and MB of peak memory above the start, in a process of its own."""

    def run(pipe: Any) -> None:
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        call()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        pipe.send((time.perf_counter() - start, (peak - before) / 1024))

    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=run, args=(theirs,))
    process.start()
    result = ours.recv()
    process.join()
    return result


def opening(work: Path) -> list[Record]:
    """Opening the bins, and then one gene and the next."""
    import scanpy

    from histoscribe.section import gene_column, open_section

    root = work / "square_008um"
    make_bins(root)
    open_section(root)
    seconds, memory = timed(lambda: open_section(root))
    theirs = timed(lambda: scanpy.read_10x_h5(root / "filtered_feature_bc_matrix.h5"))
    section = open_section(root)
    found = [record("open", "histoscribe", seconds, "s"), record("open", "histoscribe", memory, "MB")]
    found += [record("open, matrix only", "scanpy", theirs[0], "s")]
    found += [record("open, matrix only", "scanpy", theirs[1], "MB")]
    for gene in ("first gene", "next gene"):
        start = time.perf_counter()
        gene_column(section, section.genes[len(found)])
        found.append(record(gene, "histoscribe", 1000 * (time.perf_counter() - start), "ms"))
    return found


def one_slice(work: Path) -> list[Record]:
    """One gene through feature_slice.h5, as an image of 8 um bins."""
    from histoscribe.section.readers.feature_slice import read_feature_slice

    make_slice(work / "feature_slice.h5")
    start = time.perf_counter()
    read_feature_slice(work / "feature_slice.h5", "G3")
    return [record("one gene, feature_slice.h5", "histoscribe", 1000 * (time.perf_counter() - start), "ms")]


def grid(work: Path) -> list[Record]:
    """Tiles on the coarse level of a slide of 100,000 x 100,000 px at 0.25 um, half of it tissue."""
    from histoscribe.slide import Level, Slide
    from histoscribe.tiles import grid_tiles

    side = 100_000 // 64
    rows, columns = np.mgrid[:side, :side] - side / 2
    pixels = np.full((side, side, 3), 235, dtype=np.uint8)
    inside = np.hypot(rows, columns) < 0.4 * side
    pixels[inside] = np.random.default_rng(0).integers(120, 200, (int(inside.sum()), 3))
    slide = Slide(Path("made.tif"), (Level(pixels, 64.0),), mpp=0.25)
    found = []
    for pitch in (100.0, 8.0):
        start = time.perf_counter()
        tiles = grid_tiles(slide, pitch)
        seconds = time.perf_counter() - start
        found.append(record(f"grid of {pitch:g} um, {len(tiles):,} tiles", "histoscribe", seconds, "s"))
    return found


def recolouring(work: Path) -> list[Record]:
    """Another gene on a million bins that are one image layer."""
    import anndata
    import pandas as pd
    from napari.components import ViewerModel

    from histoscribe.section import Section
    from histoscribe.widgets.layers.raster import raster_layer, recolour

    places = np.argwhere(np.ones((1000, 1000), dtype=bool))
    obs = pd.DataFrame(
        {"array_row": places[:, 0], "array_col": places[:, 1]}, index=np.arange(10**6).astype(str)
    )
    table = anndata.AnnData(obs=obs, obsm={"spatial": places[:, ::-1] * 16.0})
    data, described, _ = raster_layer(Section("HD", table, None, MPP, 8.0, 8.0, "P"))
    layer = ViewerModel().add_image(data, **described)
    taken = []
    for seed in range(9):
        values = np.random.default_rng(seed).random(10**6, dtype=np.float32)
        start = time.perf_counter()
        recolour(layer, values, limits=(0, 1))
        taken.append(1000 * (time.perf_counter() - start))
    return [record("recolour a million bins, median of 9", "histoscribe", float(np.median(taken)), "ms")]


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    calls = dict(zip(PARTS, (opening, one_slice, grid, recolouring), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        records = [line for part in chosen.parts or PARTS for line in calls[part](Path(folder))]
    if chosen.json:
        print(json.dumps({"settings": {"bins": SIDE**2, "genes": GENES, "seed": 0}, "records": records}))
        return
    for line in records:
        print(f"{line['measure']:44} {line['method']:12} {line['value']:>10.4g} {line['unit']}")


if __name__ == "__main__":
    main()
