"""Hundreds of slides on a cluster of processes of which two are killed; run by `scale.py --slides`.

Small slides are painted, 20 of them damaged: empty, cut, text, overwritten, blank glass, or not there.
They are predicted by `histoscribe predict` with a scheduler, two workers that are processes of their own are
killed (SIGKILL) at a fifth and two fifths, the run itself at three fifths, and it is started again. A slide
alone is the same verb on one thread of this machine, over good slides. Times are the processor's, of all
processes, between the first slides that are done and the last, because other programs share the machine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from scipy.ndimage import gaussian_filter

from histoscribe.features.store import Shelf

SIDE, GRID_UM, ALONE = 260, 80, 8
PATIENCE_S = 120
TICKS = os.sysconf("SC_CLK_TCK")


def paint(folder: Path, count: int) -> tuple[list[Path], set[str]]:
    """Slides of grainy tissue, 1 µm per pixel; the names of those that are damaged."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, bad, every = [], set(), max(count // 20, 1)
    for number in range(count):
        path, random = folder / f"slide-{number:03}.tif", np.random.default_rng(number)
        grain = gaussian_filter(random.standard_normal((SIDE, SIDE)).astype(np.float32), 3)
        dark = np.clip(60 + 400 * grain, 0, 200)
        image = np.stack([235 - dark, 200 - dark, 230 - dark / 2], axis=-1).astype(np.uint8)
        kind = number // every % 6 if number % every == every // 3 else None
        if kind == 4:
            image[:] = 255
        tifffile.imwrite(path, image, tile=(128, 128), photometric="rgb")
        content = path.read_bytes()
        damaged = {0: b"", 1: content[:60], 2: b"no slide", 3: bytes(99) + content[99:]}
        if kind in damaged:
            path.write_bytes(damaged[kind])
        if kind == 5:
            path.unlink()
        paths.append(path)
        bad |= set() if kind is None else {path.name}
    return paths, bad


def processor(*pids: int) -> float:
    """Processor seconds of processes so far; none of those that are gone."""
    found = 0.0
    for pid in pids:
        with suppress(OSError):
            found += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return found / TICKS


def held_mb(pid: int) -> float:
    """Memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class Run:
    """A verb that predicts into a folder, watched by its ledger."""

    def __init__(self, slides: list[Path], out: Path, *more: str) -> None:
        words = ["predict", "her2st-breast", *map(str, slides), "--out", str(out), "--mpp", "1", "--json"]
        command = [sys.executable, "-m", "histoscribe", *words, "--grid-um", str(GRID_UM), *more]
        self.ledger = out / "done.jsonl"
        self.before = self.done()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def done(self) -> int:
        """Slides in the ledger."""
        return self.ledger.read_text().count('"key"') if self.ledger.exists() else 0

    def until(self, count: int) -> None:
        """Wait until so many are done, or the run has ended."""
        while self.done() < count and self.process.poll() is None:
            time.sleep(0.2)


def alone(slides: list[Path], work: Path) -> float:
    """Processor seconds of a slide, one after the other in one process."""
    run = Run(slides, work / "alone", "--store", str(work / "alone-store"))
    pid = run.process.pid
    run.until(2)
    first, start = run.done(), processor(pid)
    run.until(len(slides) - 2)
    taken = (processor(pid) - start) / (run.done() - first)
    run.process.communicate()
    return taken


def measure(work: Path, count: int) -> dict[str, Any]:
    """Run everything."""
    from distributed import Client, LocalCluster

    os.environ["DASK_NUM_WORKERS"] = "1"
    slides, bad = paint(work / "slides", count)
    each = alone([path for path in slides if path.name not in bad][:ALONE], work)
    used, counted, memory, killed = 0.0, 0, [], set[int]()
    out, options = work / "out", {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options, processes=True) as cluster, Client(cluster) as client:
        more = ("--scheduler", cluster.scheduler_address, "--store", str(work / "store"))
        run = Run(slides, out, *more)
        for step, share in enumerate((0.2, 0.4, 0.6, 1.0)):
            run.until(run.before + 2)
            workers: list[int] = []
            late = time.monotonic() + PATIENCE_S
            while len(workers) < 2 and time.monotonic() < late:  # until the killed one has a successor
                with suppress(Exception):
                    workers = [pid for pid in client.run(os.getpid).values() if pid not in killed]
                time.sleep(0.5)
            first, pids = run.done(), (run.process.pid, os.getpid(), *workers)
            start = processor(*pids)
            run.until(int(share * (count - len(bad))) - 3)
            used, counted = used + processor(*pids) - start, counted + run.done() - first
            memory.append(held_mb(run.process.pid))
            run.before = run.done() - 2  # the process is warm
            if step < 2:
                victim = next(pid for pid in workers if Path(f"/proc/{pid}").exists())
                killed.add(victim)
                os.kill(victim, signal.SIGKILL)
            elif step == 2:
                run.process.kill()
                run.process.wait()
                run = Run(slides, out, *more)
        said = json.loads(run.process.communicate()[0])["records"]
    outcomes = Counter(one["outcome"] for one in said)
    failed = {Path(one["target"]).name for one in said if one["outcome"] == "failed"}
    keys = [json.loads(line)["key"] for line in (out / "done.jsonl").read_text().splitlines() if line]
    return {
        "slides": count,
        "damaged": len(bad),
        "outcomes": dict(outcomes),
        "failed_are_the_damaged": failed == bad,
        "results": len(list(out.glob("*.h5ad"))),
        "predicted_twice": len(keys) - len(set(keys)),
        "chunks_begun_again": sum(Shelf(path, 0, 0).repeated() for path in (work / "store").glob("*.zarr")),
        "page": (out / "index.html").exists(),
        "processor_seconds_alone": each,
        "processor_seconds_on_the_cluster": used / counted,
        "ratio": used / counted / each,
        "client_mb": [round(one) for one in memory],
        "load": os.getloadavg()[0],
    }
