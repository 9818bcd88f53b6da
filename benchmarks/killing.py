"""What killing costs: workers in processes of their own, one killed, then everything, then resumed.

    python benchmarks/killing.py [--side 6000] [--workers 2] [--json]

A painted slide is described on one thread; then by `histoscribe describe --scheduler` on workers that are
processes of their own, twice: once left alone, once with a worker killed (SIGKILL) at a quarter of the chunks
and the run and all workers killed at half of them. The second run is started again, on threads. All three
must agree to the bit; what was begun more than once is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from scipy.ndimage import gaussian_filter

GRID_UM = 60


def paint(path: Path, side: int) -> None:
    """Write a slide of grainy tissue, 1 µm per pixel."""
    random = np.random.default_rng(0)
    grain = gaussian_filter(random.standard_normal((side, side)).astype(np.float32), 3)
    dark = np.clip(60 + 400 * grain, 0, 200)
    image = np.stack([235 - dark, 200 - dark, 230 - dark / 2], axis=-1).astype(np.uint8)
    tifffile.imwrite(path, image, tile=(256, 256), photometric="rgb", compression="jpeg")


def command(slide: Path, store: Path, *more: str) -> list[str]:
    """The verb that describes the slide."""
    words = ["describe", str(slide), "--store", str(store), "--grid-um", str(GRID_UM), "--mpp", "1", "--json"]
    return [sys.executable, "-m", "histoscribe", *words, *more]


def run(words: list[str]) -> dict[str, Any]:
    """Run the verb; return what it says of the slide."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    facts: dict[str, Any] = json.loads(done.stdout)["records"][0]["facts"]
    return facts


def features(store: Path) -> np.ndarray:
    """The descriptors of the only slide of a store."""
    import zarr

    (shelf,) = store.glob("*.zarr")
    return np.asarray(zarr.open_array(shelf, mode="r")[:])


def finished(store: Path) -> int:
    """Chunks that are there."""
    return len(list(store.glob("*.zarr/c/*/0")))


def wait_until(store: Path, chunks: int) -> None:
    """Wait for so many chunks."""
    while finished(store) < chunks:
        time.sleep(0.02)


def measure(folder: Path, side: int, workers: int) -> dict[str, Any]:
    """Run everything."""
    from distributed import Client, LocalCluster

    slide = folder / "slide.tif"
    paint(slide, side)
    os.environ["DASK_NUM_WORKERS"] = "1"
    alone = run(command(slide, folder / "alone"))
    options = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        address = ("--scheduler", cluster.scheduler_address)
        spread = run(command(slide, folder / "spread", *address))
        killed = subprocess.Popen(command(slide, folder / "killed", *address), stdout=subprocess.DEVNULL)
        wait_until(folder / "killed", alone["chunks"] // 4)
        os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
        wait_until(folder / "killed", alone["chunks"] // 2)
        killed.kill()
        killed.wait()
        client.wait_for_workers(workers)
        for pid in client.run(os.getpid).values():
            os.kill(pid, signal.SIGKILL)
        resumed = run(command(slide, folder / "killed"))
    expected = features(folder / "alone")
    return {
        "tiles": alone["tiles"],
        "chunks": alone["chunks"],
        "workers": workers,
        "seconds_one_thread": alone["seconds"],
        "seconds_workers": spread["seconds"],
        "workers_bit_identical": bool(np.array_equal(features(folder / "spread"), expected)),
        "resumed_bit_identical": bool(np.array_equal(features(folder / "killed"), expected)),
        "killed": 1 + workers,
        "chunks_found_when_resumed": resumed["reused"],
        "chunks_damaged": resumed["damaged"],
        "chunks_repeated": resumed["repeated"],
    }


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=6000, help="pixels along one side of the slide")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.side, options.workers)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name.replace('_', ' ')}: {value}")


if __name__ == "__main__":
    main()
